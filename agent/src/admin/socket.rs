//! The socket's file: nobody connects before it is private, and it never replaces one that is in
//! use.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Root and the process's own user.
const MODE: u32 = 0o600;

/// Connections the kernel may hold for us.
const BACKLOG: u32 = 16;

/// How long the file's present owner may take to accept: one that accepts nothing is alive.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long another process that opens a socket in the same directory is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The file of an open socket; removed with this value, unless another process has put its own
/// there meanwhile.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| inode(&found) == self.inode) {
            // Nothing depends on it: the next start replaces a socket nobody listens on.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at a path.
///
/// The socket is bound under another name in the same directory, made private before it listens,
/// and then renamed: a change of the process's umask would be a change for all its threads. Two
/// processes at once take turns by a lock on the directory, so neither takes the other's socket for
/// a stale one.
///
/// # Errors
/// One line that names the path and what to do.
pub async fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    attempt(path).await.map_err(|error| {
        let text = format!("cannot open the admin socket {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    })
}

async fn attempt(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let (directory, draft) = draft(path)?;
    let _lock = lock(directory).await?;
    check_free(path).await?;
    // Left by a process of the same id that was killed: nobody else is here now.
    let _ = fs::remove_file(&draft);
    let socket = UnixSocket::new_stream()?;
    socket.bind(&draft)?;
    let opened = fs::set_permissions(&draft, Permissions::from_mode(MODE))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|listener| fs::rename(&draft, path).map(|()| listener));
    if opened.is_err() {
        let _ = fs::remove_file(&draft);
    }
    let listener = opened?;
    let inode = inode(&fs::symlink_metadata(path)?);
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

/// The directory of a socket, and the name it has there before it is ready.
fn draft(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let name = path.file_name().ok_or_else(|| invalid("expected the path of a file"))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}", std::process::id()));
    Ok((directory, directory.join(draft)))
}

async fn lock(directory: &Path) -> io::Result<File> {
    let file = File::open(directory)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                tokio::time::sleep(LOCK_RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether there is nothing at the path but, at most, a socket that nobody listens on.
async fn check_free(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(invalid("there is something that is no socket; choose another path")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there: stop it or choose another --admin-socket",
        )),
    }
}

fn inode(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let (listener, file) = listen(&path).await.unwrap();
        assert_eq!(names(directory.path()), ["admin.sock"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        connected.unwrap();
        accepted.unwrap();
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[tokio::test]
    async fn a_socket_in_use_is_left_alone_and_a_stale_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let (listener, file) = listen(&path).await.unwrap();
        let error = listen(&path).await.unwrap_err();
        let reason = "another process listens there: stop it or choose another --admin-socket";
        let line = format!("cannot open the admin socket {}: {reason}", path.display());
        assert_eq!(error.to_string(), line);
        // A process that was killed closes its socket and leaves the file.
        drop(listener);
        let (_listener, successor) = listen(&path).await.unwrap();
        drop(file);
        assert!(path.exists(), "the file is the successor's now");
        drop(successor);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn of_several_at_once_one_gets_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let (one, other) = tokio::join!(listen(&path), listen(&path));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        fs::write(&path, "text").unwrap();
        assert!(listen(&path).await.unwrap_err().to_string().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        let nowhere = directory.path().join("missing/admin.sock");
        assert_eq!(listen(&nowhere).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
