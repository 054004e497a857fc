//! Addresses as etcd writes them: `http://host:port`, never with a path.

use std::fmt;
use std::net::IpAddr;

/// How to speak to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
    /// A unix socket.
    Unix,
    /// A unix socket with TLS.
    Unixs,
}

/// One address. Ordered and compared by its text, as etcd does: the cluster's and the founders'
/// ids are derived from it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    text: String,
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Url {
    /// Reads one address.
    ///
    /// # Errors
    /// What is wrong with it, as a clause. The rules are those of etcd's `types.NewURLs`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = scheme(text)?;
        if matches!(scheme, Scheme::Unix | Scheme::Unixs) {
            return Ok(Self { text: text.into(), scheme, host: rest.into(), port: 0 });
        }
        if rest.contains(['/', '?', '#']) {
            return Err(format!("a URL must not have a path: {text}"));
        }
        if rest.contains(['@', ' ', '%']) {
            return Err(format!("a URL has only scheme, host and port: {text}"));
        }
        let (host, port) = split(rest)
            .ok_or_else(|| format!("a URL needs host and port, as http://host:port: {text}"))?;
        let port =
            port.parse().map_err(|_| format!("a port is a number from 0 to 65535: {text}"))?;
        Ok(Self { text: text.into(), scheme, host: host.into(), port })
    }

    /// Reads addresses separated by commas; sorted, each once.
    ///
    /// # Errors
    /// As [`Url::parse`]; an empty text is an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        urls.dedup();
        Ok(urls)
    }

    /// The text it was made from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How to speak to it.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or IP, the latter without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port; 0 lets the system choose one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` for a socket, IPv6 in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether a socket can be bound to it without asking a name server.
    pub(super) fn can_be_bound(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok()
    }

    /// The same place, where that can be told without a name server.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        fn host(url: &Url) -> &str {
            if url.host == "localhost" { "127.0.0.1" } else { &url.host }
        }
        self.scheme == other.scheme && self.port == other.port && host(self) == host(other)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn scheme(text: &str) -> Result<(Scheme, &str), String> {
    let schemes = [
        ("http://", Scheme::Http),
        ("https://", Scheme::Https),
        ("unix://", Scheme::Unix),
        ("unixs://", Scheme::Unixs),
    ];
    let found = schemes
        .iter()
        .find_map(|(prefix, scheme)| text.strip_prefix(prefix).map(|rest| (*scheme, rest)));
    found.ok_or_else(|| format!("a URL starts with http://, https://, unix:// or unixs://: {text}"))
}

fn split(authority: &str) -> Option<(&str, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return Some((host, rest.strip_prefix(':')?));
    }
    let (host, port) = authority.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_names_and_both_kinds_of_ip() {
        let url = Url::parse(" http://[::1]:2379 ").unwrap();
        assert_eq!((url.host(), url.port(), url.authority()), ("::1", 2379, "[::1]:2379".into()));
        assert_eq!(Url::parse("http://node-1.example:1").unwrap().host(), "node-1.example");
        assert!(Url::parse("https://10.0.0.1:2380").unwrap().can_be_bound());
    }

    #[test]
    fn a_list_is_sorted_and_has_no_duplicates() {
        let urls = Url::parse_list("http://b:2,http://a:1,http://b:2").unwrap();
        assert_eq!(urls.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://a:1", "http://b:2"]);
        assert!(Url::parse_list("").unwrap().is_empty());
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("foo", "a URL starts with http://, https://, unix:// or unixs://: foo"),
            ("http://a", "a URL needs host and port, as http://host:port: http://a"),
            ("http://::1:80", "a URL needs host and port, as http://host:port: http://::1:80"),
            ("http://a:1/x", "a URL must not have a path: http://a:1/x"),
            ("http://a:99999", "a port is a number from 0 to 65535: http://a:99999"),
            ("http://a:http", "a port is a number from 0 to 65535: http://a:http"),
            ("http://u@a:1", "a URL has only scheme, host and port: http://u@a:1"),
        ];
        for (text, expected) in cases {
            assert_eq!(Url::parse(text).unwrap_err(), expected);
        }
    }
}
