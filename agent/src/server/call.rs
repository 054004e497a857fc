//! What the metadata of a call asks for.

use std::time::Duration;

use http::HeaderMap;

/// The longest digit string of a `grpc-timeout` (PROTOCOL-HTTP2, "TimeoutValue").
const TIMEOUT_DIGITS_MAX: usize = 8;

/// The client's wish for an end: how long it will wait.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    parse_timeout(headers.get("grpc-timeout")?.as_bytes())
}

/// The client would rather fail than be served by a member that sees no leader.
pub fn requires_leader(headers: &HeaderMap) -> bool {
    headers.get("hasleader").is_some_and(|value| value.as_bytes() == b"true")
}

/// Digits and a unit; anything else is ignored, as grpc-go's clients never send it.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_MAX {
        return None;
    }
    let mut amount = 0u64;
    for digit in digits {
        amount = amount * 10 + u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_come_in_every_unit() {
        assert_eq!(parse_timeout(b"5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout(b"4999500u"), Some(Duration::from_micros(4_999_500)));
        assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for garbage in [&b""[..], b"S", b"5", b"-1S", b"5x", b"123456789S"] {
            assert_eq!(parse_timeout(garbage), None, "{garbage:?}");
        }
    }
}
