//! Archives that are taken, and archives that are refused.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

/// An archive being written, entry by entry, with names exactly as given: the builder of the crate
/// `tar` would refuse the evil ones.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// A good release, to which something is added.
    fn good() -> Self {
        Self::new().file("quorate", 0o755, b"#!agent")
    }

    fn entry(mut self, name: &str, kind: EntryType, mode: u32, link: &str, body: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(body.len() as u64);
        header.set_cksum();
        self.0.append(&header, body).unwrap();
        self
    }

    fn file(self, name: &str, mode: u32, body: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, mode, "", body)
    }

    fn dir(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, 0o700, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, 0o777, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, 0o644, target, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn gz(self) -> Vec<u8> {
        gz(&self.bytes())
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks into `<temp>/box/staging`; `<temp>` and `<temp>/box` must stay as they are.
fn try_unpack(bytes: &[u8], limits: &Limits) -> (TempDir, Result<PathBuf, ArchiveError>) {
    let temp = tempfile::tempdir().unwrap();
    let staging = temp.path().join("box/staging");
    fs::create_dir_all(&staging).unwrap();
    fs::write(temp.path().join("secret"), "secret").unwrap();
    let archive = temp.path().join("archive");
    fs::write(&archive, bytes).unwrap();
    let result = unpack(&archive, &staging, limits);
    assert_eq!(names(temp.path()), ["archive", "box", "secret"]);
    assert_eq!(names(&temp.path().join("box")), ["staging"]);
    assert_eq!(fs::read_to_string(temp.path().join("secret")).unwrap(), "secret");
    (temp, result)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn taken(bytes: &[u8]) -> (TempDir, PathBuf) {
    let (temp, result) = try_unpack(bytes, &Limits::default());
    (temp, result.unwrap())
}

#[track_caller]
fn refused(bytes: &[u8], limits: &Limits, why: &str) {
    let error = try_unpack(bytes, limits).1.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ArchiveError::Refused(_)), "{text}");
    assert!(text.contains(why) && !text.contains('\n'), "{text:?} does not say {why:?}");
}

#[track_caller]
fn evil(tar: Tar, why: &str) {
    refused(&tar.gz(), &Limits::default(), why);
}

#[test]
fn a_flat_archive_is_taken_compressed_or_not() {
    for is_compressed in [true, false] {
        let tar = Tar::good().dir("doc/").file("doc/README", 0o600, b"read me");
        let bytes = if is_compressed { tar.gz() } else { tar.bytes() };
        let (_temp, dir) = taken(&bytes);
        assert_eq!(fs::read(dir.join("quorate")).unwrap(), b"#!agent");
        let mode = |name| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("quorate"), mode("doc"), mode("doc/README")), (0o755, 0o755, 0o644));
    }
}

#[test]
fn the_only_top_folder_is_dropped() {
    let tar = Tar::new().dir("./").dir("./q-1/").file("./q-1/quorate", 0o755, b"x");
    let (_temp, dir) = taken(&tar.gz());
    assert!(dir.ends_with("q-1"));
    assert_eq!(names(&dir), ["quorate"]);
}

#[test]
fn links_that_stay_inside_are_kept() {
    let tar = Tar::good()
        .hard_link("twin", "quorate")
        .symlink("lib/up", "../quorate")
        .symlink("here", "lib/up");
    let (_temp, dir) = taken(&tar.gz());
    assert_eq!(fs::read(dir.join("twin")).unwrap(), b"#!agent");
    assert_eq!(fs::read(dir.join("here")).unwrap(), b"#!agent");
}

#[test]
fn long_names_of_gnu_tar_are_put_together() {
    let name = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let tar = Tar::good().entry(
        "././@LongLink",
        EntryType::GNULongName,
        0o644,
        "",
        format!("{name}\0").as_bytes(),
    );
    let (_temp, dir) = taken(&tar.file("short", 0o644, b"long").gz());
    assert_eq!(fs::read(dir.join(name)).unwrap(), b"long");
}

#[test]
fn the_executable_alone_is_taken() {
    let this = std::env::current_exe().unwrap();
    let bytes = fs::read(this).unwrap();
    let (_temp, dir) = taken(&bytes);
    assert_eq!(fs::metadata(dir.join("quorate")).unwrap().len(), bytes.len() as u64);
}

#[test]
fn an_executable_for_another_machine_is_refused() {
    let mut elf = vec![0; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 243;
    refused(&elf, &Limits::default(), "built for riscv64");
    evil(Tar::new().file("quorate", 0o755, &elf), "built for riscv64");
}

#[test]
fn paths_that_leave_the_archive_are_refused() {
    evil(Tar::good().file("../secret", 0o644, b"x"), "'..' in its path");
    evil(Tar::good().file("a/../../secret", 0o644, b"x"), "'..' in its path");
    evil(Tar::good().file("/tmp/quorate-evil", 0o644, b"x"), "absolute path");
    evil(Tar::good().dir("../d/"), "'..' in its path");
    let long = Tar::good().entry("x", EntryType::GNULongName, 0o644, "", b"../secret\0");
    evil(long.file("harmless", 0o644, b"x"), "'..' in its path");
    let pax = Tar::good().entry("x", EntryType::XHeader, 0o644, "", b"18 path=../secret\n");
    evil(pax.file("harmless", 0o644, b"x"), "'..' in its path");
}

#[test]
fn symbolic_links_that_leave_the_archive_are_refused() {
    evil(Tar::good().symlink("l", "/etc/passwd"), "link to an absolute path");
    evil(Tar::good().symlink("l", "../secret"), "points outside");
    evil(Tar::good().symlink("a/l", "../../secret"), "points outside");
    evil(Tar::good().symlink("l", "a/../../secret"), "'..' inside its target");
    // The first link is harmless; by its place the second would look harmless too.
    let chain = Tar::good().symlink("a/b/up", "../..").symlink("l", "a/b/up/../secret");
    evil(chain, "'..' inside its target");
    let top = Tar::new().file("q/quorate", 0o755, b"x").symlink("q/l", "../elsewhere");
    evil(top, "leaves its top folder");
}

#[test]
fn nothing_is_written_through_a_link() {
    evil(Tar::good().dir("d/").symlink("l", "d").file("l/f", 0o644, b"x"), "not a folder");
    evil(Tar::good().symlink("l", "quorate").file("l", 0o644, b"x"), "appears twice");
    evil(Tar::good().dir("d/").symlink("l", "d").dir("l/"), "not a folder");
}

#[test]
fn hard_links_that_leave_the_archive_are_refused() {
    evil(Tar::good().hard_link("l", "/etc/passwd"), "points outside");
    evil(Tar::good().hard_link("l", "../../secret"), "points outside");
    evil(Tar::good().hard_link("l", "later"), "not a file before it");
    evil(Tar::good().symlink("s", "quorate").hard_link("l", "s"), "not a file before it");
}

#[test]
fn devices_fifos_and_setuid_files_are_refused() {
    for kind in [EntryType::Char, EntryType::Block] {
        evil(Tar::good().entry("d", kind, 0o644, "", b""), "is a device");
    }
    evil(Tar::good().entry("f", EntryType::Fifo, 0o644, "", b""), "is a fifo");
    evil(Tar::good().entry("s", EntryType::GNUSparse, 0o644, "", b""), "is a sparse file");
    evil(Tar::good().entry("s", EntryType::new(b'Z'), 0o644, "", b""), "unknown type");
    evil(Tar::good().file("s", 0o4755, b"x"), "setuid or setgid");
    evil(Tar::new().file("quorate", 0o2755, b"x"), "setuid or setgid");
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    let limits = Limits { unpacked_bytes_max: 100_000, ..Limits::default() };
    let zeros = vec![0; 200_000];
    let bomb = Tar::good().file("zeros", 0o644, &zeros).gz();
    assert!(bomb.len() < 5_000);
    refused(&bomb, &limits, "unpacks to more than 100000 bytes");
    let tail = [Tar::good().bytes(), zeros].concat();
    refused(&gz(&tail), &limits, "unpacks to more than 100000 bytes");
    let plain = Tar::good().file("zeros", 0o644, &vec![0; 200_000]).bytes();
    refused(&plain, &limits, "unpacks to more than 100000 bytes");
}

#[test]
fn too_many_entries_and_too_long_paths_are_refused() {
    let many = (0..20).fold(Tar::good(), |tar, n| tar.file(&format!("f{n}"), 0o644, b""));
    let limits = Limits { entries_max: 10, ..Limits::default() };
    refused(&many.gz(), &limits, "more than 10 entries");
    let long = Tar::good().entry("x", EntryType::GNULongName, 0o644, "", &[b'n'; 600]);
    evil(long.file("short", 0o644, b""), "longer than 512 bytes");
    let huge = Tar::good().entry("x", EntryType::GNULongName, 0o644, "", &[b'n'; 70_000]);
    evil(huge.file("short", 0o644, b""), "header extension is longer");
    evil(Tar::good().file("1/2/3/4/5/6/7/8/9", 0o644, b""), "levels deep");
    let sized = Tar::good().entry("x", EntryType::XHeader, 0o644, "", b"11 size=99\n");
    evil(sized.file("f", 0o644, b""), "sets a size");
}

#[test]
fn what_is_not_a_release_is_refused_by_name() {
    evil(Tar::new().file("README", 0o644, b"x"), "no file 'quorate'");
    evil(Tar::new(), "no file 'quorate'");
    evil(Tar::new().file("a/b/quorate", 0o755, b"x"), "no file 'quorate'");
    evil(Tar::new().dir("quorate/").file("README", 0o644, b"x"), "no file 'quorate'");
    evil(Tar::new().file("quorate", 0o644, b"x"), "not executable");
    evil(Tar::new().file("quorate", 0o755, b""), "is empty");
    evil(Tar::good().file("quorate", 0o755, b"other"), "appears twice");
    let etcd = Tar::new().file("etcd-v3.5.0-linux-amd64/etcd", 0o755, b"x").file(
        "etcd-v3.5.0-linux-amd64/etcdctl",
        0o755,
        b"x",
    );
    evil(etcd, "release of etcd, not of quorate");
    evil(Tar::new().file("etcd", 0o755, b"x"), "release of etcd, not of quorate");
}

#[test]
fn a_damaged_archive_is_refused() {
    let noise: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let whole = Tar::good().file("noise", 0o644, &noise).gz();
    for length in [whole.len() / 2, whole.len() - 4, 12] {
        refused(&whole[..length], &Limits::default(), "archive refused");
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    refused(&flipped, &Limits::default(), "archive refused");
    let plain = Tar::good().file("noise", 0o644, &noise).bytes();
    refused(&plain[..20_000], &Limits::default(), "archive refused");
}

#[test]
fn other_formats_are_named() {
    let refused = |bytes: &[u8], why| refused(bytes, &Limits::default(), why);
    refused(b"", "an empty file");
    refused(b"PK\x03\x04rest", "a zip archive");
    refused(b"\xfd7zXZ\0", "an xz archive");
    refused(b"\x28\xb5\x2f\xfd", "a zstd archive");
    refused(b"BZh9", "a bzip2 archive");
    refused(b"\n<!DOCTYPE html><p>404", "a web page");
    refused(b"hello", "something else");
    refused(&gz(b"not a tar archive at all, though compressed"), "archive refused");
}
