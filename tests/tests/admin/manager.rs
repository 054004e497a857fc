//! A service manager's end of the notify protocol.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Bytes of a message; systemd takes no longer ones either.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Collects what a process tells its service manager.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Listens below a directory.
    pub fn listen(directory: &Path) -> Self {
        let path = directory.join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, path }
    }

    /// For the variable `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The lines that have come since the last call.
    pub fn heard(&self) -> Vec<String> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let mut lines = Vec::new();
        while let Ok(bytes) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..bytes]);
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }
}
