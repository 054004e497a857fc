//! Which release the unit runs, and getting hold of it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use juju::Proxies;
use release::{ReleaseId, Releases};
use serde::Deserialize;

use crate::command;
use crate::error::Error;
use crate::facts::{Facts, Resource};
use crate::files::FileError;
use crate::notes::{Carried, Fetched, Notes, RefusedSource, UnreachableSource};
use crate::options::Source;
use crate::paths::Paths;

/// How long a release may take to be fetched.
const FETCH_MAX: Duration = Duration::from_secs(20 * 60);

/// What the fetcher adds to its own limit before it is stopped.
const FETCH_SLACK: Duration = Duration::from_secs(30);

/// Exit code of the fetcher for a source that cannot be reached: it is tried again later.
const CANNOT_FETCH: i32 = 3;

/// Exit code of the fetcher for a disk that does not take the release.
const DISK: i32 = 6;

/// How long a source that could not be reached is left alone: trying takes a hook half a minute, and
/// many hooks come in a row.
const UNREACHABLE_S: u64 = 60;

/// Releases kept beside the current and the previous one.
pub const KEPT: usize = 2;

/// The release to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// One that is unpacked.
    Release(String),
    /// None new; the line says why.
    Problem(String),
}

/// What the source of a release says, and how it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Carried,
    Archive { location: String, sum: Option<String>, key: String },
    Nothing(String),
}

#[derive(Deserialize)]
struct FetchAnswer {
    id: String,
}

/// Brings the wanted release to disk, if it is not there yet.
///
/// # Errors
///
/// Surprises: a disk that is full, a program that is missing. What a person can put right is a
/// [`Choice::Problem`].
pub fn provide(facts: &Facts, notes: &mut Notes, proxies: &Proxies) -> Result<Choice, Error> {
    let releases = Releases::new(facts.paths.software());
    match wanted(facts) {
        Wanted::Nothing(line) => Ok(Choice::Problem(line)),
        Wanted::Carried => {
            notes.refused_source = None;
            let id = carried_id(&facts.paths, notes)?;
            install_carried(&releases, &facts.paths, &id)?;
            Ok(Choice::Release(unless_held(&releases, notes, id)?))
        }
        Wanted::Archive { location, sum, key } => {
            let choice = fetched(facts, &releases, notes, proxies, &location, sum, key)?;
            Ok(match choice {
                Choice::Release(id) => Choice::Release(unless_held(&releases, notes, id)?),
                problem => problem,
            })
        }
    }
}

/// The release for a unit that has none while the wanted one cannot be had.
///
/// # Errors
///
/// When it cannot be put in place.
pub fn fall_back(facts: &Facts, notes: &mut Notes) -> Result<String, Error> {
    let releases = Releases::new(facts.paths.software());
    if let Some(current) = releases.current()? {
        return Ok(current.id.to_string());
    }
    let id = carried_id(&facts.paths, notes)?;
    install_carried(&releases, &facts.paths, &id)?;
    Ok(id)
}

fn wanted(facts: &Facts) -> Wanted {
    match (&facts.source, &facts.resource) {
        (Err(line), _) => Wanted::Nothing(line.clone()),
        (Ok(Source::Url { address, sum }), _) => Wanted::Archive {
            location: address.clone(),
            sum: Some(sum.clone()),
            key: format!("{address} {sum}"),
        },
        (Ok(Source::Carried { sum }), Resource::File { path, stamp }) => Wanted::Archive {
            location: path.display().to_string(),
            sum: sum.clone(),
            key: format!("resource {stamp} {}", sum.as_deref().unwrap_or("any")),
        },
        (Ok(Source::Carried { .. }), Resource::Unknown(line)) => {
            Wanted::Nothing(format!("resource release: {line}"))
        }
        (Ok(Source::Carried { sum: Some(_) }), Resource::None) => Wanted::Nothing(
            "option source-sum is set without bin-source: give the address too, or reset it"
                .to_owned(),
        ),
        (Ok(Source::Carried { sum: None }), Resource::None) => Wanted::Carried,
    }
}

/// The current one instead of one that a person rolled back from.
fn unless_held(releases: &Releases, notes: &mut Notes, id: String) -> Result<String, Error> {
    if notes.held_back.as_ref() == Some(&id)
        && let Some(current) = releases.current()?
    {
        return Ok(current.id.to_string());
    }
    notes.held_back = None;
    Ok(id)
}

fn fetched(
    facts: &Facts,
    releases: &Releases,
    notes: &mut Notes,
    proxies: &Proxies,
    location: &str,
    sum: Option<String>,
    key: String,
) -> Result<Choice, Error> {
    if let Some(fetched) = notes.fetched.as_ref().filter(|fetched| fetched.source == key)
        && releases.get(&ReleaseId::new(fetched.id.as_str())?)?.is_some()
    {
        return Ok(Choice::Release(fetched.id.clone()));
    }
    if let Some(refused) = notes.refused_source.as_ref().filter(|refused| refused.source == key) {
        return Ok(Choice::Problem(refused.message.clone()));
    }
    notes.refused_source = None;
    if let Some(tried) = notes.unreachable.as_ref().filter(|tried| tried.source == key)
        && facts.now_s.abs_diff(tried.at_s) < UNREACHABLE_S
    {
        return Ok(Choice::Problem(tried.message.clone()));
    }
    notes.unreachable = None;
    let mut command = Command::new(facts.paths.fetcher());
    command.args(["fetch", "--source", location]).arg("--into").arg(facts.paths.software());
    match &sum {
        Some(sum) => command.args(["--sum", sum]),
        None => command.arg("--allow-unverified"),
    };
    for (flag, proxy) in [
        ("--http-proxy", &proxies.http),
        ("--https-proxy", &proxies.https),
        ("--no-proxy", &proxies.no_proxy),
    ] {
        if let Some(proxy) = proxy {
            command.args([flag, proxy]);
        }
    }
    command.args(["--timeout-s", &FETCH_MAX.as_secs().to_string()]);
    let finished = command::run(command, FETCH_MAX + FETCH_SLACK)?;
    let reason = finished.reason().trim_start_matches("quorate-release: ").to_owned();
    match finished.code {
        Some(0) => {}
        Some(DISK) => {
            return Err(command::CommandError::Failed {
                program: "quorate-release fetch".to_owned(),
                reason,
            }
            .into());
        }
        Some(CANNOT_FETCH) => {
            let message = format!("release not taken: {reason}");
            let at_s = facts.now_s;
            notes.unreachable =
                Some(UnreachableSource { source: key, message: message.clone(), at_s });
            return Ok(Choice::Problem(message));
        }
        _ => {
            let message = format!("release not taken: {reason}");
            notes.refused_source = Some(RefusedSource { source: key, message: message.clone() });
            return Ok(Choice::Problem(message));
        }
    }
    let answer: Result<FetchAnswer, _> = serde_json::from_str(&finished.stdout);
    let answer = answer.map_err(|error| command::CommandError::Failed {
        program: "quorate-release fetch".to_owned(),
        reason: format!("its answer is not understood: {error}"),
    })?;
    notes.fetched = Some(Fetched { source: key, id: answer.id.clone() });
    Ok(Choice::Release(answer.id))
}

fn install_carried(releases: &Releases, paths: &Paths, id: &str) -> Result<(), Error> {
    releases.install_from(&ReleaseId::new(id)?, &paths.carried_agent())?;
    Ok(())
}

/// `charm-` and 12 hex digits of the content: an upgrade of the charm that carries the same agent
/// restarts nobody. The file is read only when it looks different from last time.
fn carried_id(paths: &Paths, notes: &mut Notes) -> Result<String, FileError> {
    let path = paths.carried_agent();
    let metadata = fs::metadata(&path).map_err(FileError::of("read", &path))?;
    let stamp = (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
    if let Some(carried) = notes.carried.as_ref().filter(|carried| carried.stamp == stamp) {
        return Ok(carried.id.clone());
    }
    let digest = digest(&path).map_err(FileError::of("read", &path))?;
    let id = format!("charm-{:012x}", digest >> 16);
    notes.carried = Some(Carried { stamp, id: id.clone() });
    Ok(id)
}

/// A digest of a file we carry ourselves. It tells builds apart and guards against nobody, so it is
/// FNV-1a over words instead of another dependency.
fn digest(path: &Path) -> std::io::Result<u64> {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut digest = BASIS;
    loop {
        let mut length = 0;
        while length < buffer.len() {
            match file.read(&mut buffer[length..])? {
                0 => break,
                read => length += read,
            }
        }
        for chunk in buffer[..length].chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            digest = (digest ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
            digest ^= digest >> 29;
        }
        if length < buffer.len() {
            return Ok(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_release_is_named_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), dir.path(), "etcd-0");
        let file = paths.carried_agent();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let id = |content: &[u8]| {
            drop(fs::remove_file(&file));
            fs::write(&file, content).unwrap();
            carried_id(&paths, &mut Notes::default()).unwrap()
        };
        let first = id(b"one build of the agent");
        assert_eq!(first.len(), "charm-".len() + 12);
        assert_eq!(first, id(b"one build of the agent"));
        assert_ne!(first, id(b"one build of the agenT"));
        let long = vec![7; 3 << 20];
        let mut other = long.clone();
        other[2 << 20] = 8;
        assert_ne!(id(&long), id(&other));
    }
}
