//! Walks the fields of a header block (RFC 7541, section 6) up to `:authority` and mends its value.
//!
//! Only the boundaries of the fields matter, so no dynamic table is kept: a field that repeats an
//! earlier one repeats it as it was mended.

use std::ops::Range;

/// `:authority` in the static table (RFC 7541, appendix A).
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";
/// The same in Huffman code: 57 bits, then ones (appendix B).
const AUTHORITY_CODED: &[u8] = &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

/// What the URL of an endpoint may start with.
#[expect(clippy::unusual_byte_groupings, reason = "a group is the code of a letter")]
const SCHEMES: [Scheme; 4] = [
    // h 100111, t 01001, t 01001, p 101011, s 01000
    Scheme { text: b"http", code: 0b100111_01001_01001_101011, bits: 22 },
    Scheme { text: b"https", code: 0b100111_01001_01001_101011_01000, bits: 27 },
    // u 101101, n 101010, i 00110, x 1111001
    Scheme { text: b"unix", code: 0b101101_101010_00110_1111001, bits: 24 },
    Scheme { text: b"unixs", code: 0b101101_101010_00110_1111001_01000, bits: 29 },
];

struct Scheme {
    text: &'static [u8],
    code: u64,
    bits: u32,
}

const COLON: u64 = 0b1011100;
const COLON_BITS: u32 = 7;
const SLASH: u64 = 0b011000;
const SLASH_BITS: u32 = 6;

/// What `:` becomes, valid in an authority and 7 bits long too.
const COLON_MENDED: u64 = 0b1111001; // x
/// What `/` becomes, valid in an authority and 6 bits long too.
const SLASH_MENDED: u64 = 0b010110; // -

/// Huffman codes by length: a code of so many bits is, left-aligned in 16, below the limit. Longer
/// ones are not written in URLs.
const CODE_LIMITS: [(u32, u64); 8] = [
    (5, 0x5000),
    (6, 0xb800),
    (7, 0xf800),
    (8, 0xfe00),
    (10, 0xff40),
    (11, 0xffa0),
    (12, 0xffc0),
    (13, 0xfff0),
];

/// Mends the authority if it is there and needs it. True when it may still come in a continuation
/// of the block; a block that is malformed or cut within a field has none.
pub fn mend(block: &mut [u8]) -> bool {
    let mut fields = Fields { block, at: 0 };
    while fields.at < fields.block.len() {
        match fields.next() {
            Some(Field::Other) => {}
            Some(Field::Authority(value)) => {
                let bytes = &mut fields.block[value.bytes];
                if value.is_coded {
                    mend_coded(bytes)
                } else {
                    mend_raw(bytes)
                }
                return false;
            }
            None => return false,
        }
    }
    true
}

enum Field {
    Authority(Text),
    Other,
}

/// A string literal: where its bytes are and whether they are Huffman code.
struct Text {
    bytes: Range<usize>,
    is_coded: bool,
}

struct Fields<'a> {
    block: &'a mut [u8],
    at: usize,
}

impl Fields<'_> {
    fn next(&mut self) -> Option<Field> {
        match self.block.get(self.at)?.leading_zeros() {
            // A name and value of a table, or a new size for the table.
            0 => self.integer(7).map(|_| Field::Other),
            2 => self.integer(5).map(|_| Field::Other),
            // A value here, to be remembered or not.
            1 => self.literal(6),
            _ => self.literal(4),
        }
    }

    fn literal(&mut self, prefix_bits: u32) -> Option<Field> {
        let is_authority = match self.integer(prefix_bits)? {
            0 => self.text().map(|name| self.is_authority(name))?,
            index => index == AUTHORITY_INDEX,
        };
        let value = self.text()?;
        Some(if is_authority { Field::Authority(value) } else { Field::Other })
    }

    fn is_authority(&self, name: Text) -> bool {
        self.block[name.bytes] == *if name.is_coded { AUTHORITY_CODED } else { AUTHORITY }
    }

    fn text(&mut self) -> Option<Text> {
        let is_coded = *self.block.get(self.at)? & 0x80 != 0;
        let len = self.integer(7)?;
        let bytes = self.at..self.at + len;
        if bytes.end > self.block.len() {
            return None;
        }
        self.at = bytes.end;
        Some(Text { bytes, is_coded })
    }

    /// A number in the low bits of the next byte or, from there on, in groups of 7 (section 5.1):
    /// up to 4 groups, which is above all sizes that are accepted.
    fn integer(&mut self, prefix_bits: u32) -> Option<usize> {
        let prefix_max = (1 << prefix_bits) - 1;
        let mut number = usize::from(self.next_byte()?) & prefix_max;
        if number < prefix_max {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let group = self.next_byte()?;
            number += usize::from(group & 0x7f) << shift;
            if group < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = *self.block.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

fn mend_raw(value: &mut [u8]) {
    let is_url = |scheme: &&Scheme| {
        value.strip_prefix(scheme.text).is_some_and(|rest| rest.starts_with(b"://"))
    };
    let Some(scheme) = SCHEMES.iter().find(is_url) else { return };
    value[scheme.text.len()] = b'x';
    for byte in value.iter_mut().filter(|byte| **byte == b'/') {
        *byte = b'-';
    }
}

fn mend_coded(value: &mut [u8]) {
    let head = window(value, 0);
    let is_url = |scheme: &&Scheme| {
        let after = (scheme.code << COLON_BITS | COLON) << SLASH_BITS | SLASH;
        let code = after << SLASH_BITS | SLASH;
        head >> (64 - scheme.bits - COLON_BITS - 2 * SLASH_BITS) == code
    };
    let Some(scheme) = SCHEMES.iter().find(is_url) else { return };
    flip(value, scheme.bits as usize, COLON ^ COLON_MENDED, COLON_BITS);
    let mut at = (scheme.bits + COLON_BITS) as usize;
    // Every code has 5 bits or more, so this ends.
    while let Some(bits) = code_bits(value, at) {
        if bits == SLASH_BITS && window(value, at) >> (64 - SLASH_BITS) == SLASH {
            flip(value, at, SLASH ^ SLASH_MENDED, SLASH_BITS);
        }
        at += bits as usize;
    }
}

/// The length of the code at this bit; none for a long code and at the end.
fn code_bits(value: &[u8], at: usize) -> Option<u32> {
    let ahead = window(value, at) >> 48;
    CODE_LIMITS.iter().find(|(_, limit)| ahead < *limit).map(|(bits, _)| *bits)
}

/// At least 57 bits from this bit on, left-aligned. Ones follow the last byte, as they pad the
/// last code; no code we look for ends in a one.
fn window(value: &[u8], at: usize) -> u64 {
    let mut bytes = [0xff; 8];
    let rest = value.get(at / 8..).unwrap_or_default();
    let count = rest.len().min(bytes.len());
    bytes[..count].copy_from_slice(&rest[..count]);
    let skipped = at % 8;
    u64::from_be_bytes(bytes) << skipped | ((1 << skipped) - 1)
}

/// Changes up to 8 bits from this bit on.
fn flip(value: &mut [u8], at: usize, mask: u64, bits: u32) {
    let mask = (mask << (16 - bits) >> (at % 8)) as u16;
    let [first, second] = mask.to_be_bytes();
    value[at / 8] ^= first;
    if second != 0 {
        value[at / 8 + 1] ^= second;
    }
}
