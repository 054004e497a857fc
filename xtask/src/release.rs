//! The release archive, which the charm's option bin-source takes, and its sums.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use flate2::{Compression, GzBuilder};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tar::{Builder, EntryType, Header};

use crate::charm::{Profile, architecture, member, portable};
use crate::step::{root, target_dir};

/// Hexadecimal digits of the sum of these bytes.
type Sum = fn(&[u8]) -> String;

/// Time stamp of every entry: 1980-01-01, the first a zip archive can have too.
const TIME_S: u64 = 315_532_800;

/// The sums written beside the archive: the three kinds the option source-sum takes.
const SUMS: [(&str, Sum); 3] =
    [("SHA1SUMS", hex::<Sha1>), ("SHA256SUMS", hex::<Sha256>), ("SHA512SUMS", hex::<Sha512>)];

/// What `cargo xtask release` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How to build: `release`, or `dev` for tests.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let program = member(options.profile)?;
    portable::check("quorate", &program)?;
    let place = target_dir().join("release-archive");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let name = format!("quorate-{}-linux-{}", env!("CARGO_PKG_VERSION"), architecture()?);
    let members = [
        ("quorate", fs::read(&program)?, 0o755),
        ("LICENSE", fs::read(root().join("LICENSE"))?, 0o644),
        ("README.md", fs::read(root().join("README.md"))?, 0o644),
    ];
    let archive = pack(&name, &members)?;
    let file = format!("{name}.tar.gz");
    replace(&place.join(&file), &archive)?;
    for (sums, sum) in SUMS {
        replace(&place.join(sums), format!("{}  {file}\n", sum(&archive)).as_bytes())?;
    }
    eprintln!("{} bytes, sums in {}", archive.len(), SUMS.map(|(name, _)| name).join(", "));
    println!("{}", place.join(&file).display());
    Ok(ExitCode::SUCCESS)
}

/// A `.tar.gz` with one directory at its top: the same bytes from the same members. Entries belong
/// to user and group 0; the header of gzip has neither time nor name.
fn pack(name: &str, members: &[(&str, Vec<u8>, u32)]) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = Builder::new(gzip);
    let directory = header(EntryType::Directory, 0, 0o755);
    append(&mut tar, directory, &format!("{name}/"), &[])?;
    for (path, content, mode) in members {
        let header = header(EntryType::Regular, content.len() as u64, *mode);
        append(&mut tar, header, &format!("{name}/{path}"), content)?;
    }
    tar.into_inner()?.finish()
}

fn header(kind: EntryType, bytes: u64, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME_S);
    header
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    mut header: Header,
    path: &str,
    content: &[u8],
) -> io::Result<()> {
    tar.append_data(&mut header, path, content)
}

/// Written beside and renamed: an archive under its name is complete.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let mut file = File::create(part).with_context(|| format!("cannot make {}", part.display()))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(part, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn members() -> [(&'static str, Vec<u8>, u32); 2] {
        [("quorate", b"a program".repeat(100), 0o755), ("LICENSE", b"text".to_vec(), 0o644)]
    }

    #[test]
    fn the_archive_has_one_directory_with_the_program_in_it() {
        let packed = pack("quorate-1-linux-amd64", &members()).unwrap();
        let mut tar = tar::Archive::new(GzDecoder::new(&*packed));
        let mut found = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, TIME_S));
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            found.push((path, header.mode().unwrap(), content.len()));
        }
        let expected = [
            ("quorate-1-linux-amd64/".to_owned(), 0o755, 0),
            ("quorate-1-linux-amd64/quorate".to_owned(), 0o755, 900),
            ("quorate-1-linux-amd64/LICENSE".to_owned(), 0o644, 4),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_same_members_give_the_same_bytes() {
        assert!(pack("x", &members()).unwrap() == pack("x", &members()).unwrap());
    }

    #[test]
    fn sums_are_those_of_the_standards() {
        // FIPS 180-4's example message.
        let sums = SUMS.map(|(_, sum)| sum(b"abc"));
        assert_eq!(sums[0], "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sums[1], sha256);
        assert!(sums[2].starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(sums.map(|sum| sum.len()), [40, 64, 128]);
    }
}
