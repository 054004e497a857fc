//! Switch, roll back, keep, and what a crash leaves.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

fn id(text: &str) -> ReleaseId {
    ReleaseId::new(text).unwrap()
}

fn executable(dir: &Path, content: &str) -> PathBuf {
    let path = dir.join("agent");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
    path
}

/// A directory with the given releases in it, the first one oldest.
fn with_releases(ids: &[&str]) -> (TempDir, Releases) {
    let dir = tempfile::tempdir().unwrap();
    let releases = Releases::new(dir.path().join("unit"));
    for (age, text) in ids.iter().rev().enumerate() {
        let source = executable(dir.path(), text);
        let release = releases.install_from(&id(text), &source).unwrap();
        let placed = SystemTime::now() - Duration::from_secs(60 * age as u64);
        fs::File::open(&release.path).unwrap().set_modified(placed).unwrap();
    }
    (dir, releases)
}

fn named(release: Result<Option<Release>, ReleaseError>) -> Option<String> {
    release.unwrap().map(|release| release.id.to_string())
}

fn state(releases: &Releases) -> (Option<String>, Option<String>) {
    (named(releases.current()), named(releases.previous()))
}

fn ids(releases: &Releases) -> Vec<String> {
    releases.list().unwrap().iter().map(|release| release.id.to_string()).collect()
}

#[test]
fn an_empty_place_has_no_releases_and_is_not_created_by_asking() {
    let dir = tempfile::tempdir().unwrap();
    let releases = Releases::new(dir.path().join("unit"));
    assert_eq!(state(&releases), (None, None));
    assert!(releases.list().unwrap().is_empty());
    assert!(releases.keep(1).unwrap().is_empty());
    assert!(matches!(releases.rollback(), Err(ReleaseError::NoPrevious { .. })));
    assert!(matches!(releases.switch(&id("a")), Err(ReleaseError::NotFound { .. })));
    assert!(!releases.dir().exists());
}

#[test]
fn an_installed_file_becomes_an_executable_release_for_everybody() {
    let (_dir, releases) = with_releases(&["a"]);
    let release = releases.get(&id("a")).unwrap().unwrap();
    assert_eq!(fs::read_to_string(release.executable()).unwrap(), "a");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&release.executable()), 0o755);
    assert_eq!(mode(&release.path), 0o755);
    assert_eq!(state(&releases), (None, None), "installing does not switch");
}

#[test]
fn an_installed_folder_keeps_its_files_and_version() {
    let (dir, releases) = with_releases(&[]);
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("doc")).unwrap();
    fs::rename(executable(dir.path(), "x"), source.join("quorate")).unwrap();
    fs::write(source.join("doc/README"), "read").unwrap();
    fs::write(source.join("version"), "1.2.3\n").unwrap();
    let release = releases.install_from(&id("a"), &source).unwrap();
    assert_eq!(release.version().as_deref(), Some("1.2.3"));
    assert_eq!(fs::read_to_string(release.path.join("doc/README")).unwrap(), "read");
    assert!(source.join("quorate").exists(), "the source is left alone");
}

#[test]
fn what_has_no_executable_does_not_become_a_release() {
    let (dir, releases) = with_releases(&[]);
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    let refused = |source: &Path| {
        let error = releases.install_from(&id("a"), source).unwrap_err();
        assert!(matches!(error, ReleaseError::NotARelease { .. }), "{error}");
    };
    refused(&source);
    fs::write(source.join("quorate"), "x").unwrap();
    refused(&source);
    fs::rename(executable(dir.path(), ""), source.join("quorate")).unwrap();
    refused(&source);
    fs::rename(executable(dir.path(), "x"), source.join("quorate")).unwrap();
    symlink("/etc/passwd", source.join("link")).unwrap();
    refused(&source);
    assert_eq!(fs::read_dir(releases.releases_dir()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn switching_remembers_what_was_current() {
    let (_dir, releases) = with_releases(&["a", "b", "c"]);
    assert_eq!(releases.switch(&id("a")).unwrap(), Switched { from: None, to: id("a") });
    assert_eq!(state(&releases), (Some("a".into()), None));
    assert!(releases.switch(&id("b")).unwrap().is_change());
    assert_eq!(state(&releases), (Some("b".into()), Some("a".into())));
    assert!(!releases.switch(&id("b")).unwrap().is_change());
    assert_eq!(state(&releases), (Some("b".into()), Some("a".into())), "repeating changes nothing");
    releases.switch(&id("c")).unwrap();
    assert_eq!(state(&releases), (Some("c".into()), Some("b".into())));
    assert_eq!(fs::read_to_string(releases.current_executable()).unwrap(), "c");
    let target = fs::read_link(releases.dir().join("current")).unwrap();
    assert_eq!(target, Path::new("releases/c"), "relative, so that a root can be moved");
}

#[test]
fn rolling_back_twice_is_rolling_forward() {
    let (_dir, releases) = with_releases(&["a", "b"]);
    releases.switch(&id("a")).unwrap();
    assert!(matches!(releases.rollback(), Err(ReleaseError::NoPrevious { .. })));
    releases.switch(&id("b")).unwrap();
    assert_eq!(releases.rollback().unwrap(), Switched { from: Some(id("b")), to: id("a") });
    assert_eq!(state(&releases), (Some("a".into()), Some("b".into())));
    assert_eq!(releases.rollback().unwrap().to, id("b"));
}

#[test]
fn a_missing_release_is_never_switched_to() {
    let (_dir, releases) = with_releases(&["a"]);
    releases.switch(&id("a")).unwrap();
    assert!(matches!(releases.switch(&id("b")), Err(ReleaseError::NotFound { .. })));
    assert_eq!(state(&releases), (Some("a".into()), None));
}

#[test]
fn a_crash_between_the_two_links_leaves_something_to_run() {
    let (_dir, releases) = with_releases(&["a", "b", "c"]);
    releases.switch(&id("a")).unwrap();
    releases.switch(&id("b")).unwrap();
    // Towards something new: previous was written, current was not.
    releases.point(Link::Previous, &id("b")).unwrap();
    assert_eq!(state(&releases), (Some("b".into()), None));
    releases.switch(&id("c")).unwrap();
    assert_eq!(state(&releases), (Some("c".into()), Some("b".into())));
    // Back to the previous one: current was written, previous was not.
    releases.point(Link::Current, &id("b")).unwrap();
    assert_eq!(state(&releases), (Some("b".into()), None));
    assert!(!releases.switch(&id("b")).unwrap().is_change(), "repeating it finds it done");
}

#[test]
fn a_temporary_link_left_by_a_crash_does_not_stop_the_next_switch() {
    let (_dir, releases) = with_releases(&["a"]);
    symlink("releases/gone", releases.dir().join(".current.new")).unwrap();
    releases.switch(&id("a")).unwrap();
    assert_eq!(named(releases.current()), Some("a".into()));
    assert!(fs::symlink_metadata(releases.dir().join(".current.new")).is_err());
}

#[test]
fn a_link_to_a_release_that_is_gone_is_mended_by_switching() {
    let (_dir, releases) = with_releases(&["a", "b"]);
    releases.switch(&id("a")).unwrap();
    fs::remove_dir_all(releases.releases_dir().join("a")).unwrap();
    assert_eq!(state(&releases), (None, None));
    releases.switch(&id("b")).unwrap();
    assert_eq!(state(&releases), (Some("b".into()), None));
}

#[test]
fn a_link_or_file_that_is_not_ours_is_not_overwritten() {
    let (_dir, releases) = with_releases(&["a"]);
    let link = releases.dir().join("current");
    for target in ["/usr/bin", "releases/../x", "elsewhere/a", "releases/a/b"] {
        symlink(target, &link).unwrap();
        assert!(matches!(releases.switch(&id("a")), Err(ReleaseError::ForeignLink { .. })));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        fs::remove_file(&link).unwrap();
    }
    fs::write(&link, "mine").unwrap();
    assert!(matches!(releases.switch(&id("a")), Err(ReleaseError::ForeignLink { .. })));
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
}

#[test]
fn keep_removes_the_oldest_but_never_current_or_previous() {
    let (_dir, releases) = with_releases(&["a", "b", "c", "d", "e"]);
    releases.switch(&id("a")).unwrap();
    releases.switch(&id("c")).unwrap();
    assert_eq!(releases.keep(5).unwrap(), []);
    assert_eq!(releases.keep(2).unwrap(), [id("b")]);
    assert_eq!(ids(&releases), ["a", "c", "d", "e"]);
    releases.keep(0).unwrap();
    assert_eq!(ids(&releases), ["a", "c"]);
    assert_eq!(state(&releases), (Some("c".into()), Some("a".into())));
}

#[test]
fn staging_left_by_a_crash_is_removed_and_never_listed() {
    let (dir, releases) = with_releases(&["a"]);
    let left = releases.releases_dir().join(".staging-999");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("quorate"), "half").unwrap();
    assert_eq!(ids(&releases), ["a"]);
    releases.install_from(&id("b"), &executable(dir.path(), "b")).unwrap();
    assert!(!left.exists());
    assert_eq!(ids(&releases), ["a", "b"]);
}

#[test]
fn installing_again_keeps_what_is_there_and_mends_what_is_damaged() {
    let (dir, releases) = with_releases(&["a"]);
    let other = executable(dir.path(), "other");
    let release = releases.install_from(&id("a"), &other).unwrap();
    assert_eq!(fs::read_to_string(release.executable()).unwrap(), "a");
    fs::remove_file(release.executable()).unwrap();
    let release = releases.install_from(&id("a"), &other).unwrap();
    assert_eq!(fs::read_to_string(release.executable()).unwrap(), "other");
}

#[test]
fn changes_wait_for_each_other() {
    let (_dir, releases) = with_releases(&["a", "b"]);
    let switch = |text: &'static str| {
        let releases = releases.clone();
        thread::spawn(move || (0..20).for_each(|_| drop(releases.switch(&id(text)).unwrap())))
    };
    let threads = [switch("a"), switch("b")];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (current, previous) = state(&releases);
    assert_ne!(current, previous);
    assert!(current.is_some() && previous.is_some());
}

#[test]
fn a_lock_that_is_not_given_up_is_reported() {
    let (_dir, releases) = with_releases(&["a"]);
    let _lock = releases.lock_fetches(Duration::ZERO).unwrap();
    let error = releases.lock_fetches(Duration::from_millis(60)).unwrap_err();
    assert!(matches!(error, ReleaseError::Busy { .. }), "{error}");
    releases.switch(&id("a")).expect("a fetch does not hold up a switch");
}
