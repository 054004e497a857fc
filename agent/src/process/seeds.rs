//! Where a member that has no place in a cluster yet asks for one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use raft::SeedSource;

use crate::config::{JoinSeeds, Scheme, Url};

/// A longer file is a mistake.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Seeds asked in one round; the ones after that are left out.
const SEEDS_MAX: usize = 64;

/// The seeds of the flag and those that stand in the file at the time of asking.
///
/// A file that is not there yet, or has a bad line, keeps nobody from joining: it may be written
/// any moment. It is complained about once for each thing that is wrong.
pub fn source(seeds: &JoinSeeds) -> SeedSource {
    let urls: Vec<String> = seeds.urls.iter().map(|url| url.as_str().to_owned()).collect();
    let file = seeds.file.clone().map(SeedsFile::new);
    Arc::new(move || {
        let mut all = urls.clone();
        all.extend(file.as_ref().map(SeedsFile::read).unwrap_or_default());
        let mut seen = std::collections::HashSet::new();
        all.retain(|url| seen.insert(url.clone()));
        all.truncate(SEEDS_MAX);
        all
    })
}

struct SeedsFile {
    path: PathBuf,
    /// What was wrong last time.
    complaint: Mutex<Option<String>>,
}

impl SeedsFile {
    fn new(path: PathBuf) -> Self {
        Self { path, complaint: Mutex::new(None) }
    }

    fn read(&self) -> Vec<String> {
        let (urls, complaint) = match text(&self.path) {
            Ok(text) => parse(&text),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let mut known = self.complaint.lock();
        if let Some(reason) = complaint.as_ref().filter(|reason| known.as_ref() != Some(reason)) {
            tracing::warn!(path = %self.path.display(), reason, "a file of seeds is not in order");
        }
        *known = complaint;
        urls
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        let limit = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
    }
    Ok(text)
}

/// One peer URL per line; empty lines and those that start with `#` are nothing. What is wrong with
/// the first bad line comes second; the good ones count all the same.
fn parse(text: &str) -> (Vec<String>, Option<String>) {
    let mut urls = Vec::new();
    let mut complaint = None;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match Url::parse(line) {
            Ok(url) if url.scheme() == Scheme::Http => urls.push(url.as_str().to_owned()),
            Ok(url) => complaint = complaint.or(Some(format!("line {number}: {url} is not http"))),
            Err(reason) => complaint = complaint.or(Some(format!("line {number}: {reason}"))),
        }
    }
    (urls, complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_does_not_hide_the_good_ones() {
        let (urls, complaint) = parse("# seeds\nhttp://a:1\n\n  http://b:2  \nb:3\nhttps://c:4\n");
        assert_eq!(urls, ["http://a:1", "http://b:2"]);
        let reason = "a URL starts with http://, https://, unix:// or unixs://: b:3";
        assert_eq!(complaint, Some(format!("line 5: {reason}")));
    }

    #[test]
    fn the_file_is_read_again_for_every_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seeds");
        let urls = Url::parse_list("http://flag:1").unwrap();
        let seeds = source(&JoinSeeds { urls, file: Some(path.clone()) });
        assert_eq!(seeds(), ["http://flag:1"], "no file yet");
        std::fs::write(&path, "http://a:1\nhttp://flag:1\n").unwrap();
        assert_eq!(seeds(), ["http://flag:1", "http://a:1"]);
        std::fs::write(&path, "http://b:1\n").unwrap();
        assert_eq!(seeds(), ["http://flag:1", "http://b:1"]);
        std::fs::write(&path, "x".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert_eq!(seeds(), ["http://flag:1"]);
    }

    #[test]
    fn one_round_asks_a_bounded_number_of_seeds() {
        let urls = (1..=200).map(|port| Url::parse(&format!("http://a:{port}")).unwrap()).collect();
        assert_eq!(source(&JoinSeeds { urls, file: None })().len(), SEEDS_MAX);
    }
}
