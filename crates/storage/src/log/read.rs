//! Reading entries back from a segment.

use super::error::LogError;
use super::format::{HEADER_BYTES, Header, Kind, is_intact};
use super::view::Span;
use super::{LogRecord, window::Window};

/// Reads the entries of a span with `from <= index < to` until `bytes_left` is used up; the first
/// one is read in any case.
///
/// # Errors
/// When the file cannot be read or a record is damaged. The caller checks whether the span was
/// purged and its file recycled meanwhile.
pub(super) fn read_span(
    span: &Span,
    from: u64,
    to: u64,
    bytes_left: &mut u64,
    records: &mut Vec<LogRecord>,
) -> Result<(), LogError> {
    let to = to.min(span.index_end);
    let mut window = Window::new(span.file.as_ref(), span.end);
    let mut offset = span.start;
    let corrupt = |offset: u64, reason: &str| LogError::Corrupt {
        path: span.path.clone(),
        offset,
        reason: reason.to_owned(),
    };
    let io = |error| LogError::io("reading", &span.path, error);
    while offset < span.end {
        let header_bytes: [u8; HEADER_BYTES] = window
            .get(offset, HEADER_BYTES)
            .map_err(io)?
            .ok_or_else(|| corrupt(offset, "the file is shorter than it was"))?
            .try_into()
            .expect("the length asked for");
        let header = Header::parse(&header_bytes).ok_or_else(|| corrupt(offset, "no record"))?;
        let index = header.position.index;
        if header.kind == Kind::Entry && (from..to).contains(&index) {
            let payload = window
                .get(offset + HEADER_BYTES as u64, header.length as usize)
                .map_err(io)?
                .ok_or_else(|| corrupt(offset, "the record does not end"))?;
            if !is_intact(span.sequence, &header_bytes, payload) {
                return Err(corrupt(offset, "checksum does not match"));
            }
            if u64::from(header.length) > *bytes_left && !records.is_empty() {
                *bytes_left = 0;
                return Ok(());
            }
            *bytes_left = bytes_left.saturating_sub(u64::from(header.length));
            records.push(LogRecord {
                position: header.position,
                kind: header.tag,
                payload: bytes::Bytes::copy_from_slice(payload),
            });
            if index + 1 == to {
                return Ok(());
            }
        }
        offset += header.record_bytes() as u64;
    }
    Ok(())
}
