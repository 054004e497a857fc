//! Brings a release here: transfer, check the sum, unpack, install.
//!
//! ```text
//! DIR/.fetch.part      the bytes so far; removed when a fetch ends and when the next one begins
//! ```
//!
//! Nothing else below the directory changes before the sum is known to be right.

mod error;
mod http;
mod limits;
mod part;
mod progress;
mod source;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task;
use tokio::time::timeout;

pub use error::FetchError;
pub use limits::{Limits, Proxies};
pub use progress::{Bar, Lines, Progress, Silent};
pub use source::Source;

use crate::archive::{self, ArchiveError};
use crate::{Release, Releases, Sum};
use part::Part;

/// File of an installed release that keeps the whole sum it was checked against; the id has only
/// its beginning.
const SUM_FILE: &str = ".sum";

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where from.
    pub source: Source,
    /// What the bytes must sum up to. `None` is refused for http and https, and for files unless
    /// `is_unverified_allowed`.
    pub sum: Option<Sum>,
    /// Take a local file without a sum: its release is named by its SHA-256.
    pub is_unverified_allowed: bool,
    /// Proxies for http and https.
    pub proxies: Proxies,
    /// Bounds of the transfer.
    pub limits: Limits,
    /// Bounds of the archive.
    pub archive_limits: archive::Limits,
}

/// Fetches, checks and unpacks a release into `releases` and answers with it; does not switch to
/// it. When the release with this sum is there already, nothing is transferred. One fetch into a
/// directory runs at a time; another waits, within its own total time.
///
/// Needs a tokio runtime with I/O and time.
///
/// # Errors
/// [`FetchError`]; [`FetchError::exit_code`] says how the binary reports it. After any error the
/// releases are what they were.
pub async fn fetch(
    request: &Request,
    releases: &Releases,
    progress: &mut dyn Progress,
) -> Result<Release, FetchError> {
    check_sum_given(request)?;
    let (began, total) = (Instant::now(), request.limits.total);
    let lock = {
        let releases = releases.clone();
        blocking(move || Ok(releases.lock_fetches(total)?)).await?
    };
    if let Some(release) = installed(request, releases)? {
        progress.note(&format!("release {} is already here", release.id));
        return Ok(release);
    }
    let part = Part::create(releases.dir(), lock)?;
    let timed_out = |_| FetchError::Unreachable {
        source_shown: request.source.to_string(),
        why: format!("not done after {}", seconds(total)),
    };
    let time_left = total.saturating_sub(began.elapsed());
    timeout(time_left, transfer(request, &part, progress)).await.map_err(timed_out)??;
    progress.note("checking and unpacking");
    let (request, releases) = (request.clone(), releases.clone());
    // The part, and with it the lock, lives until this is done, even when the caller stops waiting.
    blocking(move || install(&request, &releases, &part)).await
}

async fn transfer(
    request: &Request,
    part: &Part,
    progress: &mut dyn Progress,
) -> Result<(), FetchError> {
    match &request.source {
        Source::File(path) => source::copy(path, part, &request.limits, progress).await,
        Source::Http(url) => http::download(url, request, part, progress).await,
    }
}

fn check_sum_given(request: &Request) -> Result<(), FetchError> {
    if request.sum.is_some() {
        return Ok(());
    }
    let shown = request.source.to_string();
    match &request.source {
        Source::Http(_) => Err(FetchError::Usage(format!("{shown} needs a sum: give --sum"))),
        Source::File(_) if request.is_unverified_allowed => Ok(()),
        Source::File(_) => Err(FetchError::Usage(format!(
            "{shown} needs a sum: give --sum, or --allow-unverified to take the file as it is"
        ))),
    }
}

/// The release with this sum, when it is here. Another one with the same first digits is in the
/// way; with honest sums that does not happen.
fn installed(request: &Request, releases: &Releases) -> Result<Option<Release>, FetchError> {
    let Some(sum) = &request.sum else { return Ok(None) };
    let Some(release) = releases.get(&sum.release_id())? else { return Ok(None) };
    check_same_sum(&release, sum)?;
    Ok(Some(release))
}

fn check_same_sum(release: &Release, sum: &Sum) -> Result<(), FetchError> {
    let path = release.path.join(SUM_FILE);
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known.trim() == sum.as_str() {
        return Ok(());
    }
    Err(FetchError::Refused(format!(
        "release {} is here already with another sum ({:?} in {}): remove it if it is not used",
        release.id,
        known.trim(),
        path.display()
    )))
}

fn install(request: &Request, releases: &Releases, part: &Part) -> Result<Release, FetchError> {
    let found = sum_of(part.path(), request.sum.as_ref())?;
    if let Some(expected) = request.sum.as_ref().filter(|sum| **sum != found) {
        return Err(FetchError::SumDiffers {
            source_shown: request.source.to_string(),
            expected: expected.clone(),
            found,
        });
    }
    let id = found.release_id();
    let release = releases.install_with(&id, |staging| {
        let filled = archive::unpack(part.path(), staging, &request.archive_limits)?;
        write_sum(&filled, &found)?;
        Ok::<_, FetchError>(filled)
    })?;
    check_same_sum(&release, &found)?;
    Ok(release)
}

fn sum_of(path: &Path, expected: Option<&Sum>) -> Result<Sum, FetchError> {
    let mut file = File::open(path).map_err(FetchError::disk("open", path))?;
    match expected {
        Some(expected) => expected.of_same_kind(&mut file),
        None => Sum::sha256(&mut file),
    }
    .map_err(FetchError::disk("read", path))
}

fn write_sum(dir: &Path, sum: &Sum) -> Result<(), FetchError> {
    let path = dir.join(SUM_FILE);
    if fs::symlink_metadata(&path).is_ok() {
        let why = format!("archive refused: it brings a file {SUM_FILE:?} of its own");
        return Err(FetchError::Refused(why));
    }
    fs::write(&path, format!("{sum}\n")).map_err(FetchError::disk("write", &path))?;
    crate::releases::set_file_mode(&path, 0).map_err(FetchError::disk("write", &path))
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    task::spawn_blocking(work).await.expect("the work does not panic and is never cancelled")
}

/// `duration` as people read it.
fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

impl From<ArchiveError> for FetchError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Refused(_) => Self::Refused(error.to_string()),
            ArchiveError::Io { what, path, error } => Self::Disk { what, path, error },
        }
    }
}
