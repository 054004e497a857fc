//! The little that is needed of URLs here: the agent has checked them already.

/// `host:port` of `http://host:port[/]`.
pub(crate) fn host_and_port(url: &str) -> Option<String> {
    let rest = url.split_once("://").map(|(_, rest)| rest)?;
    let authority = rest.split('/').next()?;
    (!authority.is_empty()).then(|| authority.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_authority_is_taken() {
        assert_eq!(host_and_port("http://127.0.0.1:2380/").as_deref(), Some("127.0.0.1:2380"));
        assert_eq!(host_and_port("http://[::1]:2380").as_deref(), Some("[::1]:2380"));
        assert_eq!(host_and_port("127.0.0.1:2380"), None);
        assert_eq!(host_and_port("http://"), None);
    }
}
