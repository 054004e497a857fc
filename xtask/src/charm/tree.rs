//! The charm as a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::plan::{Content, File};

/// Writes the files to the directory, which afterwards has nothing else in it.
///
/// # Errors
/// When the directory holds something that is not a charm, or a file cannot be copied.
pub(crate) fn write(files: &[File], directory: &Path) -> Result<()> {
    refuse_foreign(directory)?;
    let part = beside(directory, "part");
    remove(&part)?;
    for file in files {
        write_file(file, &part).with_context(|| format!("cannot write {}", file.path))?;
    }
    // Renamed into place, so that nobody meets half a charm, or a program that is being written.
    let old = beside(directory, "old");
    remove(&old)?;
    if directory.exists() {
        fs::rename(directory, &old)?;
    }
    fs::rename(&part, directory)
        .with_context(|| format!("cannot put the charm at {}", directory.display()))?;
    remove(&old)
}

/// Only an empty directory or an earlier charm is replaced.
fn refuse_foreign(directory: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => bail!("cannot read {}: {error}", directory.display()),
    };
    if is_empty || directory.join("metadata.yaml").is_file() && directory.join("hooks").is_dir() {
        return Ok(());
    }
    bail!("{} holds something that is not a charm; name another directory", directory.display())
}

fn write_file(file: &File, directory: &Path) -> Result<()> {
    let target = directory.join(&file.path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        Content::Program(source) | Content::Copy(source) => {
            let from = || format!("no file {}", source.display());
            fs::copy(source, &target).with_context(from)?;
        }
        Content::Text(text) => fs::write(&target, text)?,
    }
    fs::set_permissions(&target, fs::Permissions::from_mode(file.mode()))?;
    Ok(())
}

fn beside(directory: &Path, ending: &str) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}-{}", std::process::id()));
    directory.with_file_name(name)
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", directory.display())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(directory: &Path) -> Vec<File> {
        let program = directory.join("program");
        fs::write(&program, "a program").unwrap();
        let file = |path: &str, content| File { path: path.to_owned(), content };
        vec![
            file("hooks/install", Content::Program(program)),
            file("metadata.yaml", Content::Text("name: sample\n".to_owned())),
        ]
    }

    #[test]
    fn programs_are_executable_and_data_is_not() {
        let place = tempfile::tempdir().unwrap();
        let charm = place.path().join("charm");
        write(&sample(place.path()), &charm).unwrap();
        let mode = |path: &str| charm.join(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("hooks/install"), 0o755);
        assert_eq!(mode("metadata.yaml"), 0o644);
    }

    #[test]
    fn a_charm_is_replaced_as_a_whole() {
        let place = tempfile::tempdir().unwrap();
        let charm = place.path().join("charm");
        let files = sample(place.path());
        write(&files, &charm).unwrap();
        fs::write(charm.join("hooks/gone"), "").unwrap();
        write(&files, &charm).unwrap();
        assert!(charm.join("hooks/install").is_file());
        assert!(!charm.join("hooks/gone").exists());
        let beside: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(beside.len(), 2, "leftovers: {beside:?}");
    }

    #[test]
    fn a_directory_that_is_no_charm_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let photos = place.path().join("photos");
        fs::create_dir(&photos).unwrap();
        fs::write(photos.join("one"), "").unwrap();
        let error = write(&sample(place.path()), &photos).unwrap_err();
        assert!(error.to_string().contains("not a charm"), "{error:#}");
        assert!(photos.join("one").is_file());
    }

    #[test]
    fn a_missing_program_leaves_the_earlier_charm() {
        let place = tempfile::tempdir().unwrap();
        let charm = place.path().join("charm");
        let files = sample(place.path());
        write(&files, &charm).unwrap();
        fs::remove_file(place.path().join("program")).unwrap();
        let error = write(&files, &charm).unwrap_err();
        assert!(format!("{error:#}").contains("hooks/install"), "{error:#}");
        assert!(charm.join("hooks/install").is_file());
    }
}
