//! A bounded view on a file that is read from front to back.

use std::io;

use crate::files::File;

/// What is read at once, bytes; a longer record makes the window as long as itself.
const WINDOW_BYTES: usize = 64 << 10;

/// Bytes of a file around the place last asked for.
pub(super) struct Window<'a> {
    file: &'a dyn File,
    end: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    /// A view on the first `end` bytes of the file.
    pub fn new(file: &'a dyn File, end: u64) -> Self {
        Self { file, end, start: 0, buffer: Vec::new() }
    }

    /// `length` bytes at `offset`; `None` when the file ends before.
    pub fn get(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if offset + length as u64 > self.end {
            return Ok(None);
        }
        let held = self.start..self.start + self.buffer.len() as u64;
        if offset < held.start || offset + length as u64 > held.end {
            let left = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
            self.buffer.resize(length.max(WINDOW_BYTES).min(left), 0);
            let count = self.file.read_at(&mut self.buffer, offset)?;
            self.buffer.truncate(count);
            self.start = offset;
            if count < length {
                return Ok(None);
            }
        }
        let at = usize::try_from(offset - self.start).expect("inside the buffer");
        Ok(Some(&self.buffer[at..at + length]))
    }
}
