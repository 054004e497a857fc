//! Disks that tear, rot, fill up or refuse.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use quorate_tests::{Client, Cluster, Member, MemberFlags, Server, Shape, eventually_within, pb};

/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(15);

fn put(number: usize) -> pb::PutRequest {
    let value = Bytes::from(vec![b'v'; 500]);
    pb::PutRequest { key: format!("k/{number:05}").into(), value, ..Default::default() }
}

async fn fill(client: &Client, count: usize) {
    for number in 0..count {
        client.put(put(number)).await.unwrap();
    }
}

async fn count(client: &Client) -> i64 {
    let (key, range_end) = ("k/".into(), "k0".into());
    let request = pb::RangeRequest { key, range_end, count_only: true, ..Default::default() };
    client.range(request).await.unwrap().count
}

/// The log file with the newest entries, and where what was written in it ends: segments are
/// preallocated with zeros.
fn end_of_log(member: &Member) -> (PathBuf, usize) {
    let directory = member.data_dir().join("member/wal");
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    files.sort();
    files
        .into_iter()
        .rev()
        .find_map(|path| {
            let bytes = fs::read(&path).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
            Some((path, end))
        })
        .expect("a log with entries")
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(bytes).unwrap();
}

pub async fn torn_end(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    fill(&cluster.client(), 200).await;
    cluster.members[0].kill();
    let (path, end) = end_of_log(&cluster.members[0]);
    // A write that was cut off: never acknowledged, so it may be dropped, and nothing else. The
    // last record may end in zeros, so a gap is left to stay clear of it.
    overwrite(&path, end + 64, &[0xAB; 300]);
    cluster.members[0].start();
    cluster.members[0].ready().await;
    assert_eq!(count(&cluster.client()).await, 200);
    fill(&cluster.client(), 210).await;
    cluster.members[0].kill();
    cluster.members[0].start();
    cluster.members[0].ready().await;
    assert_eq!(count(&cluster.client()).await, 210, "what came after the repair is kept");
}

pub async fn corrupt_middle(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    fill(&cluster.client(), 200).await;
    cluster.members[0].kill();
    let (path, end) = end_of_log(&cluster.members[0]);
    let before = fs::read(&path).unwrap()[end / 2];
    overwrite(&path, end / 2, &[!before]);
    let damaged = fs::read(&path).unwrap();
    cluster.members[0].clear_log();
    cluster.members[0].start();
    let status = cluster.members[0].ends_within(REFUSAL).await;
    assert!(!status.success(), "{status}");
    let log = cluster.members[0].log();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(log.contains(&name), "the file is not named:\n{log}");
    assert!(fs::read(&path).unwrap() == damaged, "corruption was repaired silently");
    // The bit flipped back, it is the same log as ever.
    overwrite(&path, end / 2, &[before]);
    cluster.members[0].start();
    cluster.members[0].ready().await;
    assert_eq!(count(&cluster.client()).await, 200);
}

/// A small file system of its own; unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, options: &str) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(at)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(Self(at.to_owned()));
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A failure leaves a mount behind in the test's own directory; nothing to be done here.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Why file systems cannot be mounted here, if they cannot.
pub fn cannot_mount() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    let directory = tempfile::tempdir().ok()?;
    Tmpfs::mount(&directory.path().join("probe"), "size=1m")
        .err()
        .map(|reason| format!("no tmpfs: {reason}"))
}

/// A member that is alone in its cluster, with everything below `directory`.
fn alone(server: &Server, directory: &Path) -> Member {
    let flags = MemberFlags {
        initial_cluster: String::new(),
        state: "new",
        token: "alone".to_owned(),
        extra: Vec::new(),
    };
    let mut member = Member::new(server, "m1", directory, flags);
    member.flags_mut().initial_cluster = format!("m1={}", member.peer_url());
    member
}

pub async fn read_only(server: Server) {
    let directory = tempfile::tempdir().unwrap();
    let mut member = alone(&server, directory.path());
    let _mount = Tmpfs::mount(&member.data_dir(), "ro,size=1m").unwrap();
    member.start();
    let status = member.ends_within(REFUSAL).await;
    assert!(!status.success(), "{status}");
    let data_dir = member.data_dir().display().to_string();
    assert!(member.log().contains(&data_dir), "the directory is not named:\n{}", member.log());
}

pub async fn full(server: Server) {
    let directory = tempfile::tempdir().unwrap();
    // Declared before the member: it is unmounted after the member was killed.
    let data_dir = directory.path().join("data");
    let _mount = Tmpfs::mount(&data_dir, "size=512m").unwrap();
    let mut member = alone(&server, directory.path());
    member.start();
    member.ready().await;
    let client = member.client().with_timeout(Duration::from_secs(10));
    fill(&client, 100).await;
    let ballast = data_dir.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 1 << 20]).is_ok() {}
    drop(file);

    // Preallocated space may take some more; then a write fails or the member ends.
    let mut acknowledged = 100;
    eventually_within(Duration::from_secs(60), "the full disk is noticed", async || {
        if member.exited().is_some() {
            return Some(());
        }
        let mut request = put(acknowledged);
        request.value = Bytes::from(vec![b'x'; 1_000_000]);
        match client.put(request).await {
            Ok(_) => {
                acknowledged += 1;
                None
            }
            Err(_) => Some(()),
        }
    })
    .await;
    fs::remove_file(&ballast).unwrap();
    member.kill();
    member.start();
    member.ready().await;
    let present = count(&member.client()).await;
    // The one that failed may have been written all the same.
    let expected = acknowledged as i64;
    assert!((expected..=expected + 1).contains(&present), "{present} of {expected} are there");
}
