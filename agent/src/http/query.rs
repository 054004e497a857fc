//! The query string of a request.

/// Names and values in order; a name may come more than once.
pub struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    /// Reads `a=1&b`; the names and values we ask for need no decoding.
    pub fn new(query: Option<&'a str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect())
    }

    /// Whether the name is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| *found == name)
    }

    /// Whether the name is there with this value.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.0.contains(&(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_repeat_and_need_no_value() {
        let query = Query::new(Some("exclude=A&exclude=B&verbose"));
        assert!(query.is("exclude", "A") && query.is("exclude", "B"));
        assert!(query.has("verbose") && !query.has("serializable"));
        assert!(!Query::new(None).has(""));
    }
}
