//! The charm as an archive: the same bytes from the same tree, every time.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::plan::{MODE_DATA, MODE_PROGRAM};

/// Largest archive, in bytes: what an operator behind a thin line can be asked to upload.
pub(crate) const CHARM_BYTES_MAX: u64 = 30_000_000;

/// How hard deflate tries.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    /// Its best: the archive is made once and uploaded often.
    Best,
    /// Its quickest: the archive is for a test.
    Quick,
}

impl Effort {
    fn level(self) -> i64 {
        match self {
            Self::Best => 9,
            Self::Quick => 1,
        }
    }
}

/// Deepest directory below the charm's; ours has one.
const DEPTH_MAX: usize = 8;

/// Sizes of one packed file, in bytes.
pub(crate) struct Sizes {
    path: String,
    plain_bytes: u64,
    packed_bytes: u64,
}

/// Packs the directory. Modes are 0755 for what is executable by its owner, 0644 for the rest;
/// time stamps are 1980-01-01; entries are sorted; directories have none.
///
/// # Errors
/// On symlinks and special files: Juju's own tools disagree on them.
pub(crate) fn pack(directory: &Path, charm: &Path, effort: Effort) -> Result<Vec<Sizes>> {
    let mut files = Vec::new();
    list(directory, "", DEPTH_MAX, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let part = charm.with_extension("charm.part");
    write(directory, &files, effort, &part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    fs::rename(&part, charm).with_context(|| format!("cannot write {}", charm.display()))?;
    sizes(charm)
}

/// Refuses an archive that is too large to hand out.
pub(crate) fn refuse_large(charm: &Path) -> Result<()> {
    let bytes = fs::metadata(charm)?.len();
    if bytes <= CHARM_BYTES_MAX {
        return Ok(());
    }
    bail!(
        "{} has {bytes} bytes, more than {CHARM_BYTES_MAX}; the table above shows what is large",
        charm.display()
    )
}

/// One line per file and their sum.
pub(crate) fn table(sizes: &[Sizes]) -> String {
    let mut text = format!("{:>12} {:>12}  file\n", "bytes", "packed");
    let mut line = |plain: u64, packed: u64, path: &str| {
        writeln!(text, "{plain:>12} {packed:>12}  {path}").expect("a String takes every line");
    };
    for size in sizes {
        line(size.plain_bytes, size.packed_bytes, &size.path);
    }
    let sum = |bytes: fn(&Sizes) -> u64| sizes.iter().map(bytes).sum();
    line(sum(|size| size.plain_bytes), sum(|size| size.packed_bytes), "all");
    text
}

struct Entry {
    path: String,
    mode: u32,
    bytes: u64,
}

fn list(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<Entry>) -> Result<()> {
    if depth == 0 {
        bail!("{prefix}: more than {DEPTH_MAX} directories inside each other");
    }
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            bail!("{prefix}{}: the name is not UTF-8", name.display());
        };
        let path = format!("{prefix}{name}");
        // Of the entry itself: a symlink is not followed.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{path}/"), depth - 1, files)?;
        } else if kind.is_file() {
            files.push(Entry { mode: mode(&entry)?, bytes: entry.metadata()?.len(), path });
        } else {
            bail!("{path} is neither a file nor a directory; a charm has nothing else");
        }
    }
    Ok(())
}

/// The umask of whoever made the tree has no part in it.
fn mode(entry: &fs::DirEntry) -> Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    let is_program = entry.metadata()?.permissions().mode() & 0o100 != 0;
    Ok(if is_program { MODE_PROGRAM } else { MODE_DATA })
}

fn write(directory: &Path, files: &[Entry], effort: Effort, part: &Path) -> Result<()> {
    let bar = progress(files.iter().map(|file| file.bytes).sum());
    let mut zip = ZipWriter::new(File::create(part)?);
    for file in files {
        bar.set_message(file.path.clone());
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(effort.level()))
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(file.mode);
        zip.start_file(&*file.path, options)?;
        let source = File::open(directory.join(&file.path))?;
        io::copy(&mut bar.wrap_read(source), &mut zip)
            .with_context(|| format!("cannot pack {}", file.path))?;
    }
    zip.finish()?.sync_all()?;
    bar.finish_and_clear();
    Ok(())
}

fn progress(bytes: u64) -> ProgressBar {
    let template = "packing {wide_bar} {bytes}/{total_bytes} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    ProgressBar::new(bytes).with_style(style)
}

fn sizes(charm: &Path) -> Result<Vec<Sizes>> {
    let mut zip = zip::ZipArchive::new(File::open(charm)?)?;
    (0..zip.len())
        .map(|index| {
            let file = zip.by_index_raw(index)?;
            Ok(Sizes {
                path: file.name()?.into_owned(),
                plain_bytes: file.size(),
                packed_bytes: file.compressed_size(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Offset of the "version made by" system and of the external attributes in an entry of the
    /// central directory (APPNOTE 4.3.12).
    const CREATOR_AT: usize = 5;
    const ATTRIBUTES_AT: usize = 38;

    fn sample(place: &Path, names: &[&str]) -> PathBuf {
        let tree = place.join("tree");
        for name in names {
            let file = tree.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("content of {name}").repeat(50)).unwrap();
            let mode = if name.starts_with("hooks/") { 0o700 } else { 0o600 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        tree
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let names = ["hooks/install", "metadata.yaml", "bin/quorate", "a"];
        let pack_at = |order: &[&str], age_s: u64| {
            let place = tempfile::tempdir().unwrap();
            let tree = sample(place.path(), order);
            let then = SystemTime::now() - Duration::from_secs(age_s);
            File::open(tree.join("metadata.yaml")).unwrap().set_modified(then).unwrap();
            let charm = place.path().join("x.charm");
            pack(&tree, &charm, Effort::Best).unwrap();
            fs::read(charm).unwrap()
        };
        let first = pack_at(&names, 0);
        let mut reversed = names;
        reversed.reverse();
        assert!(first == pack_at(&reversed, 1_000_000));
    }

    #[test]
    fn entries_are_sorted_unix_files_with_plain_modes() {
        let place = tempfile::tempdir().unwrap();
        let tree = sample(place.path(), &["metadata.yaml", "hooks/stop", "hooks/install"]);
        let charm = place.path().join("x.charm");
        let sizes = pack(&tree, &charm, Effort::Best).unwrap();
        let names: Vec<_> = sizes.iter().map(|size| &*size.path).collect();
        assert_eq!(names, ["hooks/install", "hooks/stop", "metadata.yaml"]);

        let bytes = fs::read(&charm).unwrap();
        let mut zip = zip::ZipArchive::new(File::open(&charm).unwrap()).unwrap();
        for index in 0..zip.len() {
            let file = zip.by_index(index).unwrap();
            let name = file.name().unwrap();
            let at = usize::try_from(file.central_header_start()).unwrap();
            assert_eq!(bytes[at + CREATOR_AT], 3, "creator of {name} is not unix");
            let mode =
                u16::from_le_bytes([bytes[at + ATTRIBUTES_AT + 2], bytes[at + ATTRIBUTES_AT + 3]]);
            let expected = if name.starts_with("hooks/") { 0o100_755 } else { 0o100_644 };
            assert_eq!(mode, expected, "{name}: {mode:o}");
            assert_eq!(file.last_modified(), Some(DateTime::DEFAULT));
        }
    }

    #[test]
    fn symlinks_are_refused_by_name() {
        let place = tempfile::tempdir().unwrap();
        let tree = sample(place.path(), &["hooks/install"]);
        symlink("install", tree.join("hooks/start")).unwrap();
        let error = pack(&tree, &place.path().join("x.charm"), Effort::Quick).err().unwrap();
        assert!(error.to_string().starts_with("hooks/start is neither"), "{error:#}");
        assert!(!place.path().join("x.charm").exists());
    }

    #[test]
    fn an_archive_that_is_too_large_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let charm = place.path().join("x.charm");
        let file = File::create(&charm).unwrap();
        file.set_len(CHARM_BYTES_MAX).unwrap();
        refuse_large(&charm).unwrap();
        file.set_len(CHARM_BYTES_MAX + 1).unwrap();
        assert!(refuse_large(&charm).is_err());
    }
}
