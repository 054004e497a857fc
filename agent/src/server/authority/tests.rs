//! Connections fed in every possible way: what comes out never depends on how the bytes came in.

use std::collections::VecDeque;
use std::task::Waker;

use proptest::prelude::*;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_BYTES_MAX: usize = 64 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

/// The header block of `etcdctl --endpoints=http://127.0.0.1:23800/ endpoint status` (3.4.23), as
/// it was on the wire.
const STATUS_BLOCK: [&str; 5] = [
    // :method, :scheme, :path
    "8386459760a924882d9dcb6571afa066a925a87510ac6e48d36a3f",
    // :authority
    "41919d29aee30c044eae05c0b86e099780063f",
    "5f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb2caecff",
    "40027465864d833505b11f40899acac8b24d494f6a7f8669f7c2db40b7",
    "408d25062d495875996ee5b1063d5f03332e34",
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).expect("hexadecimal")).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// RFC 7541, appendix B, as far as these tests write it.
const CODES: &str = "0:00000 1:00001 2:00010 a:00011 c:00100 e:00101 i:00110 o:00111 s:01000 \
    t:01001 %:010101 -:010110 .:010111 /:011000 3:011001 7:011101 8:011110 9:011111 A:100001 \
    f:100101 h:100111 l:101000 m:101010 n:101010 p:101011 r:101100 u:101101 ::1011100 k:1110101 \
    x:1111001 y:1111010 [:1111111111011 ]:1111111111100";

fn coded(text: &str) -> Vec<u8> {
    let code = |c: char| {
        let entry = CODES.split_whitespace().find(|entry| entry.starts_with(c));
        entry.unwrap_or_else(|| panic!("no code for {c}"))[2..].to_owned()
    };
    let mut bits: String = text.chars().map(code).collect();
    bits.extend(std::iter::repeat_n('1', bits.len().next_multiple_of(8) - bits.len()));
    let byte = |at: usize| u8::from_str_radix(&bits[at..at + 8], 2).expect("bits");
    (0..bits.len()).step_by(8).map(byte).collect()
}

/// A string literal shorter than 127 bytes.
fn string(is_coded: bool, text: &str) -> Vec<u8> {
    let bytes = if is_coded { coded(text) } else { text.as_bytes().to_vec() };
    assert!(bytes.len() < 0x7f);
    let len = bytes.len() as u8 | if is_coded { 0x80 } else { 0 };
    [&[len][..], &bytes].concat()
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = (payload.len() as u32).to_be_bytes();
    [&len[..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// POST, http, `/` and the authority, with the first byte of its field given.
fn block(field: &[u8], is_coded: bool, authority: &str) -> Vec<u8> {
    [b"\x83\x86\x84", field, &string(is_coded, authority), b"\x40\x02te\x08trailers"].concat()
}

/// A connection that hands out these pieces, one per read, and is not ready before each.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    is_ready: bool,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            return Poll::Pending;
        }
        let Some(mut piece) = self.pieces.pop_front() else { return Poll::Ready(Ok(())) };
        let count = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..count]);
        if count < piece.len() {
            self.pieces.push_front(piece.split_off(count));
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads a connection that comes in these pieces into buffers of a size.
fn read(pieces: &[&[u8]], buffer_bytes: usize) -> Vec<u8> {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| piece.to_vec());
    let pieces = Pieces { pieces: pieces.collect(), is_ready: false };
    let mut stream = MendedAuthority::new(pieces, FRAME_BYTES_MAX);
    let mut context = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0; buffer_bytes];
        let mut buffer = ReadBuf::new(&mut buffer);
        match Pin::new(&mut stream).poll_read(&mut context, &mut buffer) {
            Poll::Pending => assert!(buffer.filled().is_empty()),
            Poll::Ready(end) if buffer.filled().is_empty() => break end.expect("readable"),
            Poll::Ready(_) => all.extend_from_slice(buffer.filled()),
        }
    }
    all
}

/// What becomes of frames after the preface, checked for every cut and small buffers.
fn mended(frames: &[Vec<u8>]) -> Vec<u8> {
    let bytes = [PREFACE, &frames.concat()].concat();
    let whole = read(&[&bytes], 1 << 20);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(read(&[head, tail], 1 << 20), whole, "cut at {at}");
        // Cut and gone: the same bytes up to a header block that is not whole.
        assert_eq!(read(&[head], 7).len(), at);
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single, 1 << 20), whole);
    for buffer_bytes in [1, 2, 5, 9, 64] {
        assert_eq!(read(&[&bytes], buffer_bytes), whole, "buffers of {buffer_bytes}");
    }
    assert_eq!(whole[..PREFACE.len()], *PREFACE);
    whole[PREFACE.len()..].to_vec()
}

#[test]
fn a_url_of_etcdctl_becomes_an_authority() {
    let block = |authority: &str| {
        let mut block = STATUS_BLOCK.map(hex);
        block[1] = [b"\x41", &string(true, authority)[..]].concat();
        block.concat()
    };
    let captured = STATUS_BLOCK.map(hex).concat();
    assert_eq!(captured, block("http://127.0.0.1:23800/"), "the codes of these tests are right");
    let data = frame(DATA, 1, &[0; 5]);
    let frames = |block: &[u8]| [frame(SETTINGS, 0, &[]), frame(HEADERS, 4, block), data.clone()];
    let expected = frames(&block("httpx--127.0.0.1:23800-")).concat();
    assert_eq!(mended(&frames(&captured)), expected);
}

#[test]
fn every_scheme_is_mended_raw_and_coded_under_every_name() {
    let names: [&[u8]; 6] = [
        b"\x41",
        b"\x01",
        b"\x11",
        b"\x40\x0a:authority",
        b"\x00\x0a:authority",
        b"\x10\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f",
    ];
    for (authority, expected) in [
        ("http://127.0.0.1:2379", "httpx--127.0.0.1:2379"),
        ("https://a.example", "httpsx--a.example"),
        ("http://[::1]:2379/", "httpx--[::1]:2379-"),
        ("unix://localhost:2379", "unixx--localhost:2379"),
        ("unixs:///run/e", "unixsx---run-e"),
    ] {
        for (name, is_coded) in names.iter().flat_map(|name| [(name, true), (name, false)]) {
            let sent = frame(HEADERS, 4, &block(name, is_coded, authority));
            let wanted = frame(HEADERS, 4, &block(name, is_coded, expected));
            assert_eq!(mended(&[sent]), wanted, "{authority} {name:x?} {is_coded}");
            assert!(expected.parse::<http::uri::Authority>().is_ok(), "{expected}");
            assert!(authority.parse::<http::uri::Authority>().is_err(), "{authority}");
        }
    }
}

#[test]
fn other_authorities_and_other_fields_stay_as_they_are() {
    for is_coded in [true, false] {
        for authority in ["127.0.0.1:2379", "http", "http:", "http:/", "http:/a", "a://a", ""] {
            let sent = frame(HEADERS, 4, &block(b"\x41", is_coded, authority));
            assert_eq!(mended(std::slice::from_ref(&sent)), sent, "{authority}");
        }
        // :path, a name nobody knows, a name as long as the authority's
        for name in [&b"\x44"[..], b"\x40\x01a", b"\x40\x0a:authoriti"] {
            let sent = frame(HEADERS, 4, &block(name, is_coded, "http://a"));
            assert_eq!(mended(std::slice::from_ref(&sent)), sent, "{name:x?}");
        }
    }
}

#[test]
fn padding_and_priority_are_stepped_over() {
    let (url, authority) = (block(b"\x41", true, "http://a"), block(b"\x41", true, "httpx--a"));
    let padded = |block: &[u8]| [&[3][..], block, b"\x01\x08h"].concat();
    let weighed = |block: &[u8]| [&[0x80, 0, 0, 0, 16][..], block].concat();
    let both = |block: &[u8]| [&[2, 0, 0, 0, 0, 16][..], block, &[0, 0]].concat();
    for (flags, payload) in [
        (0x4 | 0x8, &padded as &dyn Fn(&[u8]) -> Vec<u8>),
        (0x4 | 0x20, &weighed),
        (0x4 | 0x8 | 0x20, &both),
    ] {
        let sent = frame(HEADERS, flags, &payload(&url));
        assert_eq!(mended(&[sent]), frame(HEADERS, flags, &payload(&authority)));
    }
    for payload in [&[][..], &[9], &[1, 0, 0, 0, 0, 0]] {
        let sent = frame(HEADERS, 0x2c, payload);
        assert_eq!(mended(std::slice::from_ref(&sent)), sent, "padding that does not fit");
    }
}

#[test]
fn an_authority_is_mended_in_a_continuation_too() {
    let frames = |authority| {
        let block = block(b"\x41", true, authority);
        let (first, rest) = block.split_at(2);
        [
            frame(HEADERS, 0, first),
            frame(CONTINUATION, 0, &[]),
            frame(CONTINUATION, 4, rest),
            // The next request finds a fresh start, a stray continuation does not.
            frame(HEADERS, 4, &block),
            frame(CONTINUATION, 4, b"\x01\x03a:b"),
        ]
    };
    assert_eq!(mended(&frames("http://a")), frames("httpx--a").concat());
    let stray = frame(CONTINUATION, 4, &block(b"\x41", true, "http://a"));
    assert_eq!(mended(std::slice::from_ref(&stray)), stray);
}

#[test]
fn long_fields_and_table_sizes_before_it_are_stepped_over() {
    let path = "/".repeat(300);
    let block = |authority| {
        // A size update, an indexed field with a long index, a path of 127 + 173 bytes.
        let before = [&b"\x3f\xe1\x1f\xff\x01\x04\x7f\xad\x01"[..], path.as_bytes()].concat();
        [before, block(b"\x41", false, authority)].concat()
    };
    let sent = frame(HEADERS, 4, &block("http://a"));
    assert_eq!(mended(&[sent]), frame(HEADERS, 4, &block("httpx--a")));
}

#[test]
fn a_header_frame_above_the_limit_passes_without_being_held() {
    let mut payload = block(b"\x41", false, "http://a");
    payload.resize(FRAME_BYTES_MAX + 1, 0x82);
    let bytes = [PREFACE, &frame(HEADERS, 4, &payload)].concat();
    let (head, tail) = bytes.split_at(100);
    assert_eq!(read(&[head, tail], 1 << 20), bytes);
}

fn pieces_of(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    let piece = |end| bytes[std::mem::replace(&mut start, end)..end].to_vec();
    ends.into_iter().map(piece).collect()
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(HEADERS), Just(CONTINUATION), Just(DATA), any::<u8>()];
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    let payload = prop_oneof![
        garbage.clone(),
        garbage.prop_map(|tail| [&b"\x41\x86\x9d\x29\xae\xe3\x0c"[..], &tail].concat()),
        Just(block(b"\x41", true, "http://127.0.0.1:2379")),
    ];
    (kind, any::<u8>(), payload).prop_map(|(kind, flags, payload)| frame(kind, flags, &payload))
}

proptest! {
    #[test]
    fn garbage_keeps_its_length_however_it_comes(
        start in prop_oneof![Just(PREFACE.to_vec()), prop::collection::vec(any::<u8>(), 0..40)],
        frames in prop::collection::vec(any_frame(), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        buffer_bytes in 1_usize..200,
    ) {
        let bytes = [start, frames.concat(), tail].concat();
        let whole = read(&[&bytes], 1 << 20);
        prop_assert_eq!(whole.len(), bytes.len());
        let pieces = pieces_of(&bytes, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(read(&pieces, buffer_bytes), whole);
    }
}
