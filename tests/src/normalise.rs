//! Takes out of a tool's output what may differ between two clusters: ids, addresses, times,
//! sizes, versions. Everything else is contract and stays.

use regex::Regex;

/// Rewrites outputs of one cluster.
#[derive(Debug)]
pub struct Normaliser {
    exact: Vec<(String, String)>,
    patterns: Vec<(Regex, &'static str)>,
    unordered: Vec<(Regex, &'static str)>,
}

/// Lists whose order is no contract, as what is before, the list and what is after, with the
/// separator of the list.
const UNORDERED: &[(&str, &str)] = &[
    // In order of ids, which follow from the ports.
    (r#"(ETCD_INITIAL_CLUSTER=")([^"]*)(")"#, ","),
    // In order of a hash map of etcd.
    (r"(attached keys\(\[)([^\]]*)(\]\))", " "),
];

/// Pattern and replacement, applied in order after the exact ones.
const PATTERNS: &[(&str, &str)] = &[
    // Structured warnings of the client library: times and addresses, no contract.
    (r#"(?m)^\{"level":.*\n"#, ""),
    // Borders and padding of tables follow the width of ids.
    (r"-{2,}", "--"),
    (r"(?m) {2,}", " "),
    (r"took[ =]+[0-9.]+(?:µs|ms|s)", "took <time>"),
    (r#""took":"[^"]*""#, r#""took":<time>"#),
    (r"remaining\([0-9]+s\)", "remaining(<time>)"),
    (r#""ttl":[0-9]+"#, r#""ttl":<time>"#),
    (r#""TTL" : [0-9]+"#, r#""TTL" : <time>"#),
    (
        r#""(raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|hash)":[0-9]+"#,
        r#""$1":<n>"#,
    ),
    (
        r#""(RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|Hash)" : [0-9]+"#,
        r#""$1" : <n>"#,
    ),
    (r"\b[0-9]+(?:\.[0-9]+)? [kMG]?B\b", "<size>"),
    (r"\b3\.[0-9]+\.[0-9]+\b", "<version>"),
    // Term, index and applied index at the end of `endpoint status`, simple and table.
    (r"(true|false), (true|false), [0-9]+, [0-9]+, [0-9]+,", "$1, $2, <n>, <n>, <n>,"),
    (
        r"\| (true|false) \| (true|false) \| [0-9]+ \| [0-9]+ \| [0-9]+ \|",
        "| $1 | $2 | <n> | <n> | <n> |",
    ),
    // `endpoint hashkv`, simple and table.
    (r"(?m)^(<client-[a-z0-9]+>), [0-9]+$", "$1, <hash>"),
    (r"\| (<client-[a-z0-9]+>) \| [0-9]+ \|", "| $1 | <hash> |"),
];

impl Default for Normaliser {
    fn default() -> Self {
        let patterns = PATTERNS
            .iter()
            .map(|(pattern, text)| (Regex::new(pattern).expect("a constant pattern"), *text))
            .collect();
        let unordered = UNORDERED
            .iter()
            .map(|(pattern, between)| (Regex::new(pattern).expect("a constant pattern"), *between))
            .collect();
        Self { exact: Vec::new(), patterns, unordered }
    }
}

impl Normaliser {
    /// `text` is shown as `<label>` from now on.
    pub fn hide(&mut self, text: &str, label: &str) {
        if !text.is_empty() {
            self.exact.push((text.to_owned(), format!("<{label}>")));
            // Longest first: a URL contains its address, an id may begin another one.
            self.exact.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    /// An id is shown as `<label>` in hex and in decimal.
    pub fn hide_id(&mut self, id: u64, label: &str) {
        self.hide(&format!("{id:x}"), label);
        self.hide(&id.to_string(), label);
    }

    /// The text as far as it is contract.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.exact {
            text = text.replace(from, to);
        }
        for (pattern, to) in &self.patterns {
            text = pattern.replace_all(&text, *to).into_owned();
        }
        for (pattern, between) in &self.unordered {
            let sorted = |found: &regex::Captures<'_>| {
                let mut entries: Vec<&str> = found[2].split(*between).collect();
                entries.sort_unstable();
                format!("{}{}{}", &found[1], entries.join(between), &found[3])
            };
            text = pattern.replace_all(&text, sorted).into_owned();
        }
        text
    }
}

/// A response in protobuf as hex, with ids and term of its header (field 1) taken out.
pub(crate) fn protobuf_as_text(bytes: &[u8]) -> String {
    use prost::Message;

    let header = crate::pb::HeaderOnly::decode(bytes).ok().and_then(|only| only.header);
    let Some(header) = header else { return format!("not a response: {bytes:02x?}\n") };
    // The header is the first field: tag, length below 128, body.
    let body = usize::from(bytes.get(1).copied().unwrap_or_default()) + 2;
    let rest = bytes.get(body..).unwrap_or_default();
    let hex: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("header revision {}, then {hex}\n", header.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_lose_numbers_and_keep_flags() {
        let mut normaliser = Normaliser::default();
        normaliser.hide("127.0.0.1:12345", "client-m1");
        normaliser.hide_id(0x8e9e_05c5_2164_694d, "id-m1");
        let line = "127.0.0.1:12345, 8e9e05c52164694d, 3.4.23, 20 kB, true, false, 2, 4, 4, \n";
        let expected = "<client-m1>, <id-m1>, <version>, <size>, true, false, <n>, <n>, <n>, \n";
        assert_eq!(normaliser.apply(line), expected);
    }

    #[test]
    fn attached_keys_have_no_order() {
        let normaliser = Normaliser::default();
        let line = "remaining(98s), attached keys([b a])\n";
        assert_eq!(normaliser.apply(line), "remaining(<time>), attached keys([a b])\n");
        assert_eq!(normaliser.apply("attached keys([])"), "attached keys([])");
    }

    #[test]
    fn a_dead_lease_keeps_its_minus_one() {
        let normaliser = Normaliser::default();
        assert_eq!(normaliser.apply(r#"{"ttl":-1}"#), r#"{"ttl":-1}"#);
        assert_eq!(normaliser.apply(r#"{"ttl":98}"#), r#"{"ttl":<time>}"#);
    }
}
