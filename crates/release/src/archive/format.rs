//! What kind of file it is, by its first bytes.

use std::io::{self, Read};

/// Offset and content of what every POSIX and GNU tar header has.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// What a release can come as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// gzip; what is inside has to be tar.
    TarGz,
    /// tar, not compressed.
    Tar,
    /// The executable alone.
    Elf,
}

/// Tells the format, or says what the file looks like instead.
pub(super) fn detect(reader: &mut impl Read) -> io::Result<Result<Format, &'static str>> {
    let mut head = Vec::with_capacity(512);
    reader.take(512).read_to_end(&mut head)?;
    Ok(by_head(&head))
}

fn by_head(head: &[u8]) -> Result<Format, &'static str> {
    let (offset, magic) = TAR_MAGIC;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Format::TarGz);
    }
    if head.starts_with(b"\x7fELF") {
        return Ok(Format::Elf);
    }
    if head.get(offset..).is_some_and(|rest| rest.starts_with(magic)) {
        return Ok(Format::Tar);
    }
    Err(looks_like(head))
}

fn looks_like(head: &[u8]) -> &'static str {
    let text = head.trim_ascii_start();
    let is_html = text.get(..5).is_some_and(|t| t.eq_ignore_ascii_case(b"<html"))
        || text.get(..9).is_some_and(|t| t.eq_ignore_ascii_case(b"<!doctype"));
    match head {
        [] => "an empty file",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd archive",
        [b'B', b'Z', b'h', ..] => "a bzip2 archive",
        _ if is_html => "a web page",
        _ => "something else",
    }
}
