//! Is what was unpacked a release of ours, and for this machine?

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ArchiveError;
use crate::EXECUTABLE;

/// Bytes of an ELF header up to and including `e_machine`.
const ELF_HEAD_BYTES: usize = 20;

/// Finds the folder that has `quorate` in it: `root`, or the only folder in `root`.
pub(super) fn find(root: &Path) -> Result<PathBuf, ArchiveError> {
    let only = only_folder(root)?;
    let candidates = [Some(root.to_owned()), only];
    for dir in candidates.iter().flatten() {
        let path = dir.join(EXECUTABLE);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                check(&path, &metadata)?;
                return Ok(dir.clone());
            }
            Ok(metadata) if metadata.is_symlink() => {
                return Err(ArchiveError::refused("'quorate' in it is a link, not a file"));
            }
            _ => {}
        }
    }
    if candidates.iter().flatten().any(|dir| dir.join("etcd").is_file()) {
        return Err(ArchiveError::refused(
            "it is a release of etcd, not of quorate: give a quorate release, which serves etcd's clients",
        ));
    }
    Err(ArchiveError::refused("it has no file 'quorate' at its top or in its only top folder"))
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), ArchiveError> {
    if metadata.len() == 0 {
        return Err(ArchiveError::refused("'quorate' in it is empty"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(ArchiveError::refused("'quorate' in it is not executable"));
    }
    let mut head = Vec::with_capacity(ELF_HEAD_BYTES);
    let file = File::open(path).map_err(ArchiveError::io("open", path))?;
    file.take(ELF_HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(ArchiveError::io("read", path))?;
    match other_machine(&head) {
        None => Ok(()),
        Some(machine) => Err(ArchiveError::refused(format!(
            "'quorate' in it is built for {machine}, this machine is {}",
            std::env::consts::ARCH
        ))),
    }
}

/// The machine an ELF executable is for, when it is another one than this. Something that is not
/// ELF (a wrapper script) is not judged.
fn other_machine(head: &[u8]) -> Option<String> {
    if head.len() < ELF_HEAD_BYTES || !head.starts_with(b"\x7fELF") {
        return None;
    }
    let is_big_endian = head[5] == 2;
    let bytes = [head[18], head[19]];
    let machine = if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    // e_machine, from the ELF gABI's registry.
    let name = match machine {
        3 => "x86".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        21 => "powerpc64".to_owned(),
        243 => "riscv64".to_owned(),
        other => format!("ELF machine {other}"),
    };
    (name != std::env::consts::ARCH).then_some(name)
}

fn only_folder(root: &Path) -> Result<Option<PathBuf>, ArchiveError> {
    let mut only = None;
    for entry in fs::read_dir(root).map_err(ArchiveError::io("list", root))? {
        let entry = entry.map_err(ArchiveError::io("list", root))?;
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if only.is_some() || !is_dir {
            return Ok(None);
        }
        only = Some(entry.path());
    }
    Ok(only)
}
