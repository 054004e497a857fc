//! Release archives, good and bad ones.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tar::{Builder, EntryType, Header};

use super::common::tree;

/// The member itself, as `cargo xtask release` packs it.
pub fn of_member() -> Vec<u8> {
    let member = std::fs::read(tree().unwrap().join("bin/quorate")).unwrap();
    pack(&[("quorate-9.9.9/quorate", &member), ("quorate-9.9.9/README.md", b"text")])
}

/// A release that is the member, under another sum: a script that becomes it.
pub fn of_wrapper(word: &str) -> Vec<u8> {
    let member = tree().unwrap().join("bin/quorate");
    of_script(&format!("# {word}\nexec {} \"$@\"", member.display()))
}

/// A release that is a script.
pub fn of_script(text: &str) -> Vec<u8> {
    pack(&[("quorate", format!("#!/bin/sh\n{text}\n").as_bytes())])
}

/// A good release beside a file that is to be written somewhere else.
pub fn with_path(path: &str) -> Vec<u8> {
    pack(&[("quorate", b"#!/bin/sh\nexit 0\n"), (path, b"escaped")])
}

/// SHA-1 of some bytes, in hexadecimal digits.
pub fn sha1(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes))
}

/// SHA-256 of some bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-512 of some bytes, in hexadecimal digits.
pub fn sha512(bytes: &[u8]) -> String {
    hex(&Sha512::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A `.tar.gz`. Names go in as they are, also those that a careful packer would refuse.
fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}
