//! The charm's options, checked: each refusal is one line that names the option and the fix.

use juju::Config;
use serde::{Deserialize, Serialize};

/// Longest `extra-args`, in bytes.
const EXTRA_ARGS_BYTES_MAX: usize = 4096;

/// Bounds of `heartbeat-interval`, in milliseconds.
const HEARTBEAT_MS: (i64, i64) = (10, 10_000);

/// Longest `election-timeout`, in milliseconds; etcd's own limit.
const ELECTION_MS_MAX: i64 = 50_000;

/// How many heartbeats an election time-out has at least; the agent demands it.
const HEARTBEATS_PER_ELECTION: i64 = 5;

/// Flags that are the charm's business: with one of them the member would not be the unit's.
const OWN_FLAGS: [&str; 16] = [
    "admin-socket",
    "advertise-client-urls",
    "config-file",
    "data-dir",
    "discovery",
    "discovery-endpoints",
    "discovery-srv",
    "discovery-token",
    "force-new-cluster",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "join-seeds",
    "join-seeds-file",
    "name",
];

/// Flags that an option sets, and that option.
const OPTION_FLAGS: [(&str, &str); 7] = [
    ("auto-compaction-mode", "auto-compaction-mode"),
    ("auto-compaction-retention", "auto-compaction-retention"),
    ("election-timeout", "election-timeout"),
    ("heartbeat-interval", "heartbeat-interval"),
    ("listen-client-urls", "port or bind-to-all-interfaces"),
    ("listen-peer-urls", "management-port or bind-to-all-interfaces"),
    ("quota-backend-bytes", "quota-backend-bytes"),
];

/// Options of the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// `port`: for clients.
    pub port: u16,
    /// `management-port`: among members.
    pub management_port: u16,
    /// `heartbeat-interval`, in milliseconds.
    pub heartbeat_ms: i64,
    /// `election-timeout`, in milliseconds.
    pub election_ms: i64,
    /// `quota-backend-bytes`; 0 is the default, negative none.
    pub quota_bytes: i64,
    /// `auto-compaction-mode`: `periodic` or `revision`.
    pub compaction_mode: String,
    /// `auto-compaction-retention`; the agent checks it.
    pub compaction_retention: String,
    /// `bind-to-all-interfaces`.
    pub is_bound_to_all: bool,
    /// `extra-args`, split into words.
    pub extra_args: Vec<String>,
}

/// Which release is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// None in particular: the resource if there is one, else the one the charm carries.
    Carried {
        /// `source-sum`, for the resource.
        sum: Option<String>,
    },
    /// `bin-source` with `source-sum`.
    Url {
        /// Address of the archive.
        address: String,
        /// Its sum, in lower case.
        sum: String,
    },
}

impl Options {
    /// Reads and checks the options of the member.
    ///
    /// # Errors
    ///
    /// One line for the first option that is wrong.
    pub fn read(config: &Config) -> Result<Self, String> {
        let options = Self {
            port: port(config, "port", 2379)?,
            management_port: port(config, "management-port", 2380)?,
            heartbeat_ms: int(config, "heartbeat-interval", 100)?,
            election_ms: int(config, "election-timeout", 1000)?,
            quota_bytes: int(config, "quota-backend-bytes", 0)?,
            compaction_mode: text(config, "auto-compaction-mode", "periodic")?,
            compaction_retention: text(config, "auto-compaction-retention", "0")?,
            is_bound_to_all: config
                .bool("bind-to-all-interfaces")
                .map_err(|error| error.to_string())?
                .unwrap_or(true),
            extra_args: extra_args(&text(config, "extra-args", "")?)?,
        };
        options.check().map(|()| options)
    }

    fn check(&self) -> Result<(), String> {
        if self.port == self.management_port {
            return Err(format!(
                "options port and management-port are both {}: give them different ports",
                self.port
            ));
        }
        let (low, high) = HEARTBEAT_MS;
        if !(low..=high).contains(&self.heartbeat_ms) {
            let given = self.heartbeat_ms;
            return Err(format!(
                "option heartbeat-interval is {given}: give milliseconds from {low} to {high}"
            ));
        }
        let least = self.heartbeat_ms * HEARTBEATS_PER_ELECTION;
        if !(least..=ELECTION_MS_MAX).contains(&self.election_ms) {
            return Err(format!(
                "option election-timeout is {}: give milliseconds from {least} (5 times \
                 heartbeat-interval) to {ELECTION_MS_MAX}",
                self.election_ms
            ));
        }
        if !["periodic", "revision"].contains(&self.compaction_mode.as_str()) {
            return Err(format!(
                "option auto-compaction-mode is `{}`: give periodic or revision",
                shown(&self.compaction_mode)
            ));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let retention = &self.compaction_retention;
        if retention.is_empty() || retention.len() > 32 || !retention.chars().all(is_plain) {
            return Err(format!(
                "option auto-compaction-retention is `{}`: give a duration such as 1h, or a number",
                shown(retention)
            ));
        }
        Ok(())
    }
}

impl Source {
    /// Reads and checks `bin-source` and `source-sum`.
    ///
    /// # Errors
    ///
    /// One line that names the option.
    pub fn read(config: &Config) -> Result<Self, String> {
        let address = text(config, "bin-source", "")?.trim().to_owned();
        let sum = text(config, "source-sum", "")?.trim().to_ascii_lowercase();
        check_sum(&sum)?;
        match (address.as_str(), sum.as_str()) {
            ("", "") => Ok(Self::Carried { sum: None }),
            ("", _) => Ok(Self::Carried { sum: Some(sum) }),
            (_, "") => Err("option source-sum is empty while bin-source is set: give the SHA-1, \
                            SHA-256 or SHA-512 sum of the archive"
                .to_owned()),
            _ => check_address(&address).map(|()| Self::Url { address, sum }),
        }
    }
}

fn check_sum(sum: &str) -> Result<(), String> {
    let is_hex = sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (is_hex, sum.len()) {
        (true, 0 | 40 | 64 | 128) => Ok(()),
        (true, digits) => Err(format!(
            "option source-sum has {digits} digits: give 40 (SHA-1), 64 (SHA-256) or 128 (SHA-512)"
        )),
        (false, _) => {
            Err("option source-sum is not hexadecimal: give 40 (SHA-1), 64 (SHA-256) or \
                           128 (SHA-512) hexadecimal digits"
                .to_owned())
        }
    }
}

fn check_address(address: &str) -> Result<(), String> {
    let schemes = ["http://", "https://", "file://"];
    let is_known = schemes.iter().any(|scheme| {
        address.len() > scheme.len() && address.to_ascii_lowercase().starts_with(scheme)
    });
    let is_plain = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_known && is_plain {
        return Ok(());
    }
    Err(format!(
        "option bin-source is `{}`: give an http://, https:// or file:// address",
        shown(address)
    ))
}

fn extra_args(text: &str) -> Result<Vec<String>, String> {
    if text.len() > EXTRA_ARGS_BYTES_MAX {
        return Err(format!(
            "option extra-args has {} bytes: give at most {EXTRA_ARGS_BYTES_MAX}",
            text.len()
        ));
    }
    // The service manager splits them at spaces and would read these otherwise.
    if let Some(bad) = text.chars().find(|c| c.is_control() || "'\"\\$`".contains(*c)) {
        let bad = bad.escape_default();
        return Err(format!("option extra-args contains {bad}: give flags without quotes"));
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.first().is_some_and(|word| !word.starts_with('-')) {
        return Err(format!(
            "option extra-args begins with `{}`: give flags, such as --snapshot-count=50000",
            shown(&words[0])
        ));
    }
    let flags = words.iter().filter(|word| word.starts_with('-'));
    let name = |word: &String| {
        let flag = word.trim_start_matches('-');
        flag.split('=').next().unwrap_or_default().to_owned()
    };
    for flag in flags.map(name) {
        if OWN_FLAGS.contains(&flag.as_str()) {
            return Err(format!(
                "option extra-args contains --{flag}, which the charm sets: take it out"
            ));
        }
        if let Some((_, option)) = OPTION_FLAGS.iter().find(|(own, _)| *own == flag) {
            return Err(format!(
                "option extra-args contains --{flag}: use option {option} instead"
            ));
        }
    }
    Ok(words)
}

/// What the agent says against a configuration, with the option that a person has to change: the
/// charm gives it options as variables, and `extra-args` as flags.
pub fn refusal(reason: &str, options: &Options) -> String {
    for (flag, option) in OPTION_FLAGS {
        let variable = format!("ETCD_{}", flag.to_ascii_uppercase().replace('-', "_"));
        if let Some((before, after)) =
            reason.split_once(&format!("environment variable {variable}: "))
        {
            return format!("{before}option {option}: {after}");
        }
    }
    match options.extra_args.is_empty() {
        true => format!("the agent refuses the configuration: {reason}"),
        false => format!("option extra-args: {reason}"),
    }
}

fn port(config: &Config, name: &str, default: u16) -> Result<u16, String> {
    let given = int(config, name, i64::from(default))?;
    u16::try_from(given)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("option {name} is {given}: give a port from 1 to 65535"))
}

fn int(config: &Config, name: &str, default: i64) -> Result<i64, String> {
    let value = config.int(name).map_err(|_| format!("option {name}: give a whole number"))?;
    Ok(value.unwrap_or(default))
}

fn text(config: &Config, name: &str, default: &str) -> Result<String, String> {
    let value = config.string(name).map_err(|_| format!("option {name}: give a text"))?;
    Ok(value.unwrap_or(default).to_owned())
}

/// What a person typed, short enough for a status.
fn shown(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        Config::from_config(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn no_option_at_all_is_a_configuration() {
        let options = Options::read(&config("{}")).unwrap();
        assert_eq!(
            (options.port, options.management_port, options.election_ms),
            (2379, 2380, 1000)
        );
        assert!(options.is_bound_to_all && options.extra_args.is_empty());
        assert_eq!(Source::read(&config("{}")), Ok(Source::Carried { sum: None }));
    }

    #[test]
    fn a_bad_option_is_named_with_its_fix() {
        for (json, option, fix) in [
            (r#"{"port":0}"#, "port", "1 to 65535"),
            (r#"{"port":70000}"#, "port", "1 to 65535"),
            (r#"{"management-port":-1}"#, "management-port", "1 to 65535"),
            (r#"{"port":2380}"#, "management-port", "different"),
            (r#"{"heartbeat-interval":0}"#, "heartbeat-interval", "10 to"),
            (r#"{"election-timeout":499}"#, "election-timeout", "from 500"),
            (r#"{"election-timeout":60000}"#, "election-timeout", "50000"),
            (r#"{"auto-compaction-mode":"often"}"#, "auto-compaction-mode", "periodic"),
            (r#"{"auto-compaction-retention":"1 h\nX=1"}"#, "auto-compaction-retention", "1h"),
            (r#"{"quota-backend-bytes":0.5}"#, "quota-backend-bytes", "whole number"),
            (r#"{"extra-args":"--config-file=/x"}"#, "extra-args", "take it out"),
            (r#"{"extra-args":"--initial-cluster a=b"}"#, "extra-args", "take it out"),
            (
                r#"{"extra-args":"--election-timeout=5000"}"#,
                "extra-args",
                "option election-timeout",
            ),
            (r#"{"extra-args":"--x=$HOME"}"#, "extra-args", "without quotes"),
            (r#"{"extra-args":"snapshot"}"#, "extra-args", "give flags"),
        ] {
            let line = Options::read(&config(json)).unwrap_err();
            assert!(line.contains(option) && line.contains(fix), "{json}: {line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn what_the_agent_refuses_is_told_by_the_name_of_the_option() {
        let plain = Options::read(&config("{}")).unwrap();
        let flags = Options::read(&config(r#"{"extra-args":"--bogus"}"#)).unwrap();
        let variable = "invalid value \"abc\" for environment variable \
                        ETCD_AUTO_COMPACTION_RETENTION: expected a number of hours";
        let expected = "invalid value \"abc\" for option auto-compaction-retention: expected a number of hours";
        assert_eq!(refusal(variable, &plain), expected);
        assert_eq!(refusal(variable, &flags), expected);
        let flag = "flag provided but not defined: --bogus";
        assert_eq!(refusal(flag, &flags), format!("option extra-args: {flag}"));
        assert!(refusal("no disk", &plain).ends_with("refuses the configuration: no disk"));
    }

    #[test]
    fn a_release_needs_an_address_and_a_sum() {
        let sum = "AB".repeat(32);
        let read = |address: &str, sum: &str| {
            let json = serde_json::json!({"bin-source": address, "source-sum": sum});
            Source::read(&config(&json.to_string()))
        };
        let url = Source::Url { address: "http://x/y".into(), sum: sum.to_lowercase() };
        assert_eq!(read("http://x/y", &sum), Ok(url));
        assert_eq!(read("", &sum), Ok(Source::Carried { sum: Some(sum.to_lowercase()) }));
        for (address, sum, why) in [
            ("http://x/y", "", "source-sum is empty"),
            ("ftp://x/y", sum.as_str(), "bin-source"),
            ("http://", sum.as_str(), "bin-source"),
            ("http://x/y", "abc", "3 digits"),
            ("http://x/y", "xyz", "not hexadecimal"),
        ] {
            let line = read(address, sum).unwrap_err();
            assert!(line.contains(why), "{line}");
        }
    }
}
