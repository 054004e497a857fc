//! Checksums: which one, by its length; and the check itself.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use crate::ReleaseId;

/// How many hex digits of a sum name a release.
const ID_DIGITS: usize = 12;

/// Bytes read at a time while summing.
const CHUNK_BYTES: usize = 64 * 1024;

/// A checksum in lower-case hex: SHA-1 (40 digits), SHA-256 (64) or SHA-512 (128), told apart by
/// the length alone, as the option `source-sum` of the charm's ancestor did.
///
/// SHA-1 is accepted because existing deployments have it in their configuration; it guards against
/// accidents, not against an adversary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum(String);

/// A text that is not a checksum. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sum {text:?} is not valid ({why}): give a SHA-1 (40), SHA-256 (64) or SHA-512 (128) in hex digits"
)]
pub struct SumError {
    /// What was given, shortened.
    text: String,
    /// What is wrong with it.
    why: String,
}

/// The function a sum was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sha1,
    Sha256,
    Sha512,
}

impl Sum {
    /// The sum of everything in `reader`, made with the same function as `self`.
    ///
    /// # Errors
    /// What `reader` answers.
    pub fn of_same_kind(&self, reader: &mut impl Read) -> io::Result<Self> {
        match self.kind() {
            Kind::Sha1 => digest::<Sha1>(reader),
            Kind::Sha256 => digest::<Sha256>(reader),
            Kind::Sha512 => digest::<Sha512>(reader),
        }
    }

    /// The SHA-256 of everything in `reader`.
    ///
    /// # Errors
    /// What `reader` answers.
    pub fn sha256(reader: &mut impl Read) -> io::Result<Self> {
        digest::<Sha256>(reader)
    }

    /// The sum as lower-case hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the release this sum stands for: its first 12 digits.
    #[must_use]
    pub fn release_id(&self) -> ReleaseId {
        ReleaseId::new(&self.0[..ID_DIGITS]).expect("hex digits make an id")
    }

    /// Name of the function, as people write it.
    #[must_use]
    pub fn function(&self) -> &'static str {
        match self.kind() {
            Kind::Sha1 => "SHA-1",
            Kind::Sha256 => "SHA-256",
            Kind::Sha512 => "SHA-512",
        }
    }

    fn kind(&self) -> Kind {
        Kind::by_digits(self.0.len()).expect("a sum has one of the three lengths")
    }
}

impl Kind {
    fn by_digits(digits: usize) -> Option<Self> {
        match digits {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl FromStr for Sum {
    type Err = SumError;

    /// White space around the digits is dropped, upper case is accepted.
    fn from_str(text: &str) -> Result<Self, SumError> {
        let digits = text.trim();
        let shown = || digits.chars().take(140).collect::<String>();
        let refuse = |why: String| SumError { text: shown(), why };
        if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(refuse(format!("{wrong:?} is not a hex digit")));
        }
        if Kind::by_digits(digits.len()).is_none() {
            return Err(refuse(format!("it has {} digits", digits.len())));
        }
        Ok(Self(digits.to_ascii_lowercase()))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digest<D: Digest>(reader: &mut impl Read) -> io::Result<Sum> {
    let mut digest = D::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => digest.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Sum(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of "abc" from FIPS 180-4's examples.
    const ABC: [&str; 3] = [
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ];

    #[test]
    fn the_length_of_a_sum_chooses_its_function() {
        for (text, function) in ABC.into_iter().zip(["SHA-1", "SHA-256", "SHA-512"]) {
            let sum: Sum = format!("  {}\n", text.to_uppercase()).parse().unwrap();
            assert_eq!(sum.function(), function);
            assert_eq!(sum.of_same_kind(&mut &b"abc"[..]).unwrap(), sum);
            assert_ne!(sum.of_same_kind(&mut &b"abd"[..]).unwrap(), sum);
            assert_eq!(sum.release_id().as_str(), &text[..12]);
        }
    }

    #[test]
    fn a_malformed_sum_is_named_with_its_fault() {
        let short = "abc".parse::<Sum>().unwrap_err().to_string();
        assert!(short.contains("3 digits") && short.contains("SHA-256 (64)"), "{short}");
        let wrong = "g".repeat(40).parse::<Sum>().unwrap_err().to_string();
        assert!(wrong.contains("'g' is not a hex digit"), "{wrong}");
        assert!("".parse::<Sum>().is_err());
    }
}
