//! From OpenMetrics to the text format 0.0.4, which names counters with their `_total`.

/// Rewrites the comment lines of a page; samples are the same in both formats.
pub fn prometheus(openmetrics: &str) -> String {
    let mut page = String::with_capacity(openmetrics.len() + 1024);
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        let counter = counter_name(line).or_else(|| counter_name(lines.peek()?));
        match counter.and_then(|name| with_total(line, name)) {
            Some(line) => page.push_str(&line),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    page
}

/// The metric a line declares to be a counter.
fn counter_name(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}

/// The comment with the full name, if it is a comment about this metric.
fn with_total(line: &str, name: &str) -> Option<String> {
    let (keyword, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    let rest = rest.strip_prefix(name)?;
    rest.starts_with(' ').then(|| format!("# {keyword} {name}_total{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_full_name_and_nothing_else_changes() {
        let page = "# HELP a Things.\n# TYPE a counter\na_total{x=\"1\"} 2\n\
                    # HELP b Level.\n# TYPE b gauge\nb 3\n# EOF\n";
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n\
                        # HELP b Level.\n# TYPE b gauge\nb 3\n";
        assert_eq!(prometheus(page), expected);
    }
}
