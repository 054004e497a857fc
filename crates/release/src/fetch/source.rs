//! Where a release comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::part::Part;
use super::{FetchError, Limits, Progress};

/// Bytes copied at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Where a release comes from: `http://`, `https://`, `file://` or a path. Displays without user,
/// password and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine.
    File(PathBuf),
    /// A server.
    Http(Url),
}

impl FromStr for Source {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, FetchError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(FetchError::Usage("the source is empty: give a URL or a path".to_owned()));
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text)
            .map_err(|error| FetchError::Usage(format!("source is not a URL: {error}")))?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Http(url)),
            "file" => url.to_file_path().map(Self::File).map_err(|()| {
                FetchError::Usage(format!("{url} names another host: use file:///path"))
            }),
            other => Err(FetchError::Usage(format!(
                "scheme {other:?} of the source is not supported: use http, https, file or a path"
            ))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(&shown(url)),
        }
    }
}

/// A URL without what may be secret in it: user, password, query.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for URLs without a host, which have neither.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

/// Copies a local file into the part, so that what is checked is what is unpacked even when the
/// file changes meanwhile.
pub(super) async fn copy(
    path: &Path,
    part: &Part,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<(), FetchError> {
    let cannot =
        |why: String| FetchError::Unreachable { source_shown: path.display().to_string(), why };
    let too_big = || cannot(format!("it is larger than {} bytes", limits.bytes_max));
    // Asked before opening: opening a fifo would wait for its writer.
    let metadata = fs::metadata(path).await.map_err(|error| cannot(error.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is not a file".to_owned()));
    }
    if metadata.len() > limits.bytes_max {
        return Err(too_big());
    }
    let mut from = File::open(path).await.map_err(|error| cannot(error.to_string()))?;
    let mut to = OpenOptions::new()
        .write(true)
        .open(part.path())
        .await
        .map_err(FetchError::disk("open", part.path()))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done = 0;
    loop {
        let n = from.read(&mut chunk).await.map_err(|error| cannot(error.to_string()))?;
        if n == 0 {
            break;
        }
        done += n as u64;
        if done > limits.bytes_max {
            return Err(too_big());
        }
        to.write_all(&chunk[..n]).await.map_err(FetchError::disk("write", part.path()))?;
        progress.at(done, Some(metadata.len()));
    }
    to.flush().await.map_err(FetchError::disk("write", part.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_url_or_a_path() {
        let path = Source::File("/a b/x.tar.gz".into());
        assert_eq!("/a b/x.tar.gz".parse::<Source>().unwrap(), path);
        assert_eq!("file:///a%20b/x.tar.gz".parse::<Source>().unwrap(), path);
        assert_eq!("x.tar".parse::<Source>().unwrap(), Source::File("x.tar".into()));
        assert!(matches!("https://h/x".parse::<Source>().unwrap(), Source::Http(_)));
    }

    #[test]
    fn an_unsupported_source_is_bad_usage() {
        for bad in ["ftp://h/x", "file://other/x", "http://", "", "  "] {
            let error = bad.parse::<Source>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_source_is_shown_without_secrets() {
        let source: Source = "https://me:pw@h.example:8/x.tar.gz?token=t#f".parse().unwrap();
        assert_eq!(source.to_string(), "https://h.example:8/x.tar.gz");
    }
}
