//! A reader that ends in an error instead of filling the disk.

use std::io::{self, Read};

/// Passes on at most `bytes_max` bytes; one more is an error. `Take` would end quietly instead, and
/// a bomb would look like an archive that is cut short.
pub(super) struct Limited<R> {
    inner: R,
    bytes_max: u64,
    bytes_left: u64,
}

impl<R: Read> Limited<R> {
    /// Limits `inner`.
    pub(super) fn new(inner: R, bytes_max: u64) -> Self {
        Self { inner, bytes_max, bytes_left: bytes_max }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.bytes_left.checked_sub(n as u64) {
            Some(left) => {
                self.bytes_left = left;
                Ok(n)
            }
            None => {
                Err(io::Error::other(format!("it unpacks to more than {} bytes", self.bytes_max)))
            }
        }
    }
}
