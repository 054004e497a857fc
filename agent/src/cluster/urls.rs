//! Peer URLs that clients give.

use api::Error;

use crate::config::Url;

/// Checks peer URLs and puts them in the order they are compared in.
///
/// # Errors
/// `MemberBadUrls` when there is none or one is not an address (etcd-surface 1.13).
pub fn checked(urls: &[String]) -> Result<Vec<String>, Error> {
    if urls.is_empty() {
        return Err(Error::MemberBadUrls);
    }
    let mut urls = urls
        .iter()
        .map(|url| Url::parse(url).map(|url| url.as_str().to_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::MemberBadUrls)?;
    urls.sort();
    urls.dedup();
    Ok(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_sorted_and_checked() {
        let given = ["http://b:2".to_owned(), "http://a:1".to_owned(), "http://b:2".to_owned()];
        assert_eq!(checked(&given), Ok(vec!["http://a:1".to_owned(), "http://b:2".to_owned()]));
        for bad in [&[][..], &["a:1".to_owned()], &["http://a:1/path".to_owned()]] {
            assert_eq!(checked(bad), Err(Error::MemberBadUrls));
        }
    }
}
