//! Finds the header blocks in the bytes a client sends (RFC 9113, sections 3.4, 4.1 and 6).

use super::block;

/// What a client sends before its first frame.
const PREFACE_BYTES: usize = 24;

/// Length (3), type, flags, stream (4).
const HEAD_BYTES: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// Stream dependency (4) and weight.
const PRIORITY_BYTES: usize = 5;

/// Where in the frames of a connection the next byte stands.
#[derive(Debug)]
pub struct Frames {
    next: Next,
    /// A header block whose fields are not all there, and so far end where a field ends.
    block_goes_on: bool,
    frame_bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    /// Bytes nobody needs to look at.
    Pass(usize),
    /// The head of a frame, of which some bytes came with the previous read.
    Head { bytes: [u8; HEAD_BYTES], len: usize },
    /// The payload of a header frame.
    Block { len: usize, kind: u8, flags: u8 },
}

impl Next {
    const FRAME: Self = Self::Head { bytes: [0; HEAD_BYTES], len: 0 };
}

impl Frames {
    /// At the preface.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { next: Next::Pass(PREFACE_BYTES), block_goes_on: false, frame_bytes_max }
    }

    /// Looks at the next bytes of the connection, mends what is whole and returns how many are
    /// done with. The rest is the start of a header frame's payload: it must be given again, with
    /// what follows it, up to [`block_bytes`](Self::block_bytes).
    pub fn scan(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            match &mut self.next {
                Next::Pass(left) => {
                    let count = rest.len().min(*left);
                    *left -= count;
                    at += count;
                    if *left == 0 {
                        self.next = Next::FRAME;
                    }
                }
                Next::Head { bytes, len } => {
                    let count = rest.len().min(HEAD_BYTES - *len);
                    bytes[*len..*len + count].copy_from_slice(&rest[..count]);
                    *len += count;
                    at += count;
                    if *len == HEAD_BYTES {
                        let head = *bytes;
                        self.next = self.after_head(head);
                    }
                }
                Next::Block { len, kind, flags } => {
                    let (len, kind, flags) = (*len, *kind, *flags);
                    if rest.len() < len {
                        break;
                    }
                    self.block(kind, flags, &mut rest[..len]);
                    at += len;
                    self.next = Next::FRAME;
                }
            }
        }
        at
    }

    /// The payload size of the header frame [`scan`](Self::scan) stopped at; 0 if it did not.
    pub fn block_bytes(&self) -> usize {
        match self.next {
            Next::Block { len, .. } => len,
            Next::Pass(_) | Next::Head { .. } => 0,
        }
    }

    fn after_head(&self, head: [u8; HEAD_BYTES]) -> Next {
        let [high, middle, low, kind, flags, ..] = head;
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        let is_block = kind == HEADERS || (kind == CONTINUATION && self.block_goes_on);
        if len == 0 && !is_block {
            Next::FRAME
        } else if is_block && len <= self.frame_bytes_max {
            Next::Block { len, kind, flags }
        } else {
            Next::Pass(len)
        }
    }

    fn block(&mut self, kind: u8, flags: u8, payload: &mut [u8]) {
        let fields = if kind == HEADERS { unpadded(flags, payload) } else { Some(payload) };
        // A field cut between two frames ends the search: the authority comes before all other
        // fields that can be long, so no client cuts there but to provoke.
        let goes_on = fields.is_some_and(block::mend);
        self.block_goes_on = goes_on && flags & END_HEADERS == 0;
    }
}

/// The fields in the payload of a HEADERS frame; none if the padding does not fit.
fn unpadded(flags: u8, payload: &mut [u8]) -> Option<&mut [u8]> {
    let is_padded = flags & PADDED != 0;
    let padding = if is_padded { usize::from(*payload.first()?) } else { 0 };
    let priority = if flags & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
    let start = usize::from(is_padded) + priority;
    let end = payload.len().checked_sub(padding)?;
    payload.get_mut(start..end)
}
