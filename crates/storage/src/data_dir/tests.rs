//! Tests of the data directory.

use tempfile::TempDir;

use super::*;

const MEMBER_ONE: MemberId = MemberId(0xabc);

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn refusal(path: &Path) -> String {
    match DataDir::open(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_identity_is_found_again_and_never_replaced() {
    let temporary = directory();
    let made = {
        let data = DataDir::open(temporary.path()).unwrap();
        assert_eq!(data.identity(), None);
        data.create_identity(7, MEMBER_ONE).unwrap()
    };
    let data = DataDir::open(temporary.path()).unwrap();
    assert_eq!(data.identity(), Some(made));
    assert!(matches!(data.create_identity(7, MEMBER_ONE), Err(DataDirError::HasIdentity { .. })));
}

#[test]
fn two_directories_of_one_member_are_two_incarnations() {
    let (one, two) = (directory(), directory());
    let make = |path: &TempDir| {
        DataDir::open(path.path()).unwrap().create_identity(1, MEMBER_ONE).unwrap().incarnation
    };
    assert_ne!(make(&one), make(&two));
}

#[test]
fn a_second_process_is_refused_in_one_line() {
    let temporary = directory();
    let _first = DataDir::open(temporary.path()).unwrap();
    let line = refusal(temporary.path());
    assert!(line.contains("in use by another process") && !line.contains('\n'), "{line}");
}

#[test]
fn the_lock_goes_with_its_owner() {
    let temporary = directory();
    drop(DataDir::open(temporary.path()).unwrap());
    assert!(DataDir::open(temporary.path()).is_ok());
}

#[test]
fn data_of_etcd_are_recognised_and_left_alone() {
    let temporary = directory();
    let snap = temporary.path().join("member/snap");
    fs::create_dir_all(&snap).unwrap();
    fs::write(snap.join("db"), b"bbolt").unwrap();
    assert!(refusal(temporary.path()).contains("an etcd member"));
    assert!(!temporary.path().join("member/lock").exists());
}

#[test]
fn a_log_without_identity_is_refused() {
    let temporary = directory();
    let wal = temporary.path().join("member/wal");
    fs::create_dir_all(&wal).unwrap();
    fs::write(wal.join("0000000000000000-0000000000000000.wal"), b"").unwrap();
    assert!(refusal(temporary.path()).contains("no identity file"));
}

#[test]
fn somebody_elses_directory_is_refused_by_naming_what_is_in_it() {
    let temporary = directory();
    fs::write(temporary.path().join("holiday.jpg"), b"").unwrap();
    assert!(refusal(temporary.path()).contains("holiday.jpg"));
}

#[test]
fn a_fresh_file_system_is_empty() {
    let temporary = directory();
    fs::create_dir(temporary.path().join("lost+found")).unwrap();
    assert!(DataDir::open(temporary.path()).is_ok());
}

#[test]
fn a_path_that_is_a_file_is_named_with_the_reason() {
    let temporary = directory();
    let path = temporary.path().join("file");
    fs::write(&path, b"").unwrap();
    let line = refusal(&path);
    assert!(line.contains("file") && line.contains("irectory"), "{line}");
}

#[test]
fn every_damaged_byte_of_the_identity_is_noticed() {
    let temporary = directory();
    DataDir::open(temporary.path()).unwrap().create_identity(1, MEMBER_ONE).unwrap();
    let path = temporary.path().join("member/identity");
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let outcome = DataDir::open(temporary.path());
        assert!(matches!(outcome, Err(DataDirError::Damaged { .. })), "byte {at}");
    }
    fs::write(&path, &good).unwrap();
    assert!(DataDir::open(temporary.path()).is_ok());
}

#[test]
fn an_identity_of_a_newer_release_is_not_called_damaged() {
    let temporary = directory();
    fs::create_dir(temporary.path().join("member")).unwrap();
    sealed::write(&temporary.path().join("member/identity"), "quorate identity 2\nx\n").unwrap();
    assert!(refusal(temporary.path()).contains("upgrade"));
}

#[test]
fn an_interrupted_replacement_of_the_identity_changes_nothing() {
    let temporary = directory();
    let made = DataDir::open(temporary.path()).unwrap().create_identity(1, MEMBER_ONE).unwrap();
    fs::write(temporary.path().join("member/identity.new"), b"half").unwrap();
    assert_eq!(DataDir::open(temporary.path()).unwrap().identity(), Some(made));
}

#[test]
fn a_log_must_be_there_once_it_was_begun() {
    let temporary = directory();
    {
        let data = DataDir::open(temporary.path()).unwrap();
        assert!(matches!(data.open_log(LogOptions::new("")), Err(DataDirError::NoIdentity { .. })));
        data.create_identity(1, MEMBER_ONE).unwrap();
        data.open_log(LogOptions::new("")).unwrap().0.close();
        data.open_log(LogOptions::new("")).unwrap().0.close();
    }
    fs::remove_dir_all(temporary.path().join("member/wal")).unwrap();
    let data = DataDir::open(temporary.path()).unwrap();
    let error = data.open_log(LogOptions::new("")).err().expect("the log is gone");
    assert!(matches!(error, DataDirError::Log(LogError::Missing { .. })), "{error}");
}

#[test]
fn the_first_incarnation_of_a_peer_stays_until_it_is_unpinned() {
    let temporary = directory();
    let (first, second) = (Incarnation([1; 16]), Incarnation([2; 16]));
    {
        let data = DataDir::open(temporary.path()).unwrap();
        data.pin(MEMBER_ONE, first).unwrap();
        data.pin(MEMBER_ONE, first).unwrap();
    }
    let data = DataDir::open(temporary.path()).unwrap();
    assert_eq!(data.pins(), [(MEMBER_ONE, first)]);
    assert!(matches!(data.pin(MEMBER_ONE, second), Err(PinMismatch::Different { .. })));
    data.unpin(MEMBER_ONE).unwrap();
    data.pin(MEMBER_ONE, second).unwrap();
    assert_eq!(data.pins(), [(MEMBER_ONE, second)]);
}

#[test]
fn a_claim_keeps_its_incarnation_over_a_crash_and_hands_it_to_the_identity() {
    let temporary = directory();
    let drawn = DataDir::open(temporary.path()).unwrap().claimant().unwrap();
    let data = DataDir::open(temporary.path()).unwrap();
    assert_eq!(data.claimant().unwrap(), drawn);
    assert_eq!(data.create_identity(7, MEMBER_ONE).unwrap().incarnation, drawn);
    assert!(matches!(data.claimant(), Err(DataDirError::HasIdentity { .. })));
}

#[test]
fn a_damaged_claim_is_refused_rather_than_drawn_again() {
    let temporary = directory();
    DataDir::open(temporary.path()).unwrap().claimant().unwrap();
    let path = temporary.path().join("member/claim");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("incarnation", "incarnatiom"))
        .unwrap();
    let data = DataDir::open(temporary.path()).unwrap();
    assert!(matches!(data.claimant(), Err(DataDirError::Damaged { .. })));
}

#[test]
fn a_directory_that_was_retired_says_so_and_keeps_its_first_mark() {
    let temporary = directory();
    {
        let data = DataDir::open(temporary.path()).unwrap();
        assert!(matches!(data.retire(Standing::Left), Err(DataDirError::NoIdentity { .. })));
        data.create_identity(7, MEMBER_ONE).unwrap();
        data.retire(Standing::Left).unwrap();
        data.retire(Standing::Removed).unwrap();
    }
    let identity = DataDir::open(temporary.path()).unwrap().identity().unwrap();
    assert_eq!(identity.standing, Standing::Left);
}

#[test]
fn an_archived_member_is_kept_beside_a_new_one_and_only_old_archives_go() {
    let temporary = directory();
    let mut made = Vec::new();
    for now_s in [100, 20, 300] {
        let data = DataDir::open(temporary.path()).unwrap();
        assert_eq!(data.identity(), None, "a new directory after the archive");
        data.create_identity(7, MemberId(now_s)).unwrap();
        made.push(data.archive(now_s).unwrap());
    }
    let data = DataDir::open(temporary.path()).unwrap();
    assert_eq!(data.archives().unwrap(), [&made[1], &made[0], &made[2]].map(Clone::clone));
    assert!(made[2].join("identity").is_file());
    data.prune_archives().unwrap();
    assert_eq!(data.archives().unwrap(), [&made[0], &made[2]].map(Clone::clone));
}

#[test]
fn a_name_that_only_looks_like_an_archive_is_foreign() {
    let temporary = directory();
    fs::create_dir(temporary.path().join("member.old-yesterday")).unwrap();
    assert!(refusal(temporary.path()).contains("not empty"));
}

#[test]
fn a_directory_that_has_a_past_says_so_whatever_process_asks() {
    let temporary = directory();
    let past = || DataDir::open(temporary.path()).unwrap().past().unwrap();
    assert_eq!(past(), None);
    DataDir::open(temporary.path()).unwrap().claimant().unwrap();
    assert_eq!(past(), Some(Past { cluster: None }), "it knows of a cluster");
    let data = DataDir::open(temporary.path()).unwrap();
    data.create_identity(7, MEMBER_ONE).unwrap();
    let archive = data.archive(100).unwrap();
    assert_eq!(past(), Some(Past { cluster: Some(7) }));
    fs::write(archive.join("identity"), "torn").unwrap();
    assert_eq!(past(), Some(Past { cluster: None }));
}

#[test]
fn a_lock_that_was_archived_with_its_member_locks_nothing() {
    let temporary = directory();
    let data = DataDir::open(temporary.path()).unwrap();
    data.create_identity(7, MEMBER_ONE).unwrap();
    let path = temporary.path().join("member/lock");
    // Another process opens the file, and gets the lock when the member has been archived.
    let opened = || fs::File::options().write(true).open(&path).unwrap();
    let (one, other) = (opened(), opened());
    data.archive(100).unwrap();
    let refused = take_lock(one, temporary.path(), &path);
    assert!(matches!(refused, Err(DataDirError::InUse { .. })), "{refused:?}");
    let _new = DataDir::open(temporary.path()).unwrap();
    let refused = take_lock(other, temporary.path(), &path);
    assert!(matches!(refused, Err(DataDirError::InUse { .. })), "{refused:?}");
}
