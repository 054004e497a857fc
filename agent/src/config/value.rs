//! A value of a flag, read from its text.

use super::duration;
use super::flags::Kind;
use super::url::Url;

/// One value, typed by the flag's [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Bool(bool),
    Integer(i64),
    /// Nanoseconds, never negative.
    Duration(u64),
    Urls(Vec<Url>),
    List(Vec<String>),
}

impl Value {
    /// Reads a value.
    ///
    /// # Errors
    /// What was expected, as a clause that fits behind a colon.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::Text => Ok(Self::Text(text.to_owned())),
            Kind::Bool => boolean(text).map(Self::Bool),
            Kind::Integer { min, max } => integer(text, min, max, "a whole number"),
            Kind::Milliseconds { min, max } => {
                integer(text, min, max, "a whole number of milliseconds")
            }
            Kind::Duration => nanoseconds(text),
            Kind::Urls => Url::parse_list(text).map(Self::Urls),
            Kind::Choice(words) => choice(text, words),
            Kind::List => Ok(Self::List(list(text))),
        }
    }
}

/// The spellings Go accepts.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn integer(text: &str, min: i64, max: i64, what: &str) -> Result<Value, String> {
    let number = number(text).ok_or_else(|| format!("expected {what}"))?;
    if number >= i128::from(min) && number <= i128::from(max) {
        return i64::try_from(number).map(Value::Integer).map_err(|_| format!("expected {what}"));
    }
    Err(match (min, max) {
        (_, i64::MAX) => format!("expected {what}, at least {min}"),
        _ => format!("expected {what} from {min} to {max}"),
    })
}

/// Decimal, or hexadecimal, octal and binary with Go's prefixes.
fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let radixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)];
    let prefixed = radixes
        .iter()
        .find_map(|(prefix, radix)| digits.strip_prefix(prefix).map(|rest| (rest, *radix)));
    let (digits, radix) = prefixed.unwrap_or((digits, 10));
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|number| sign * i128::from(number))
}

fn nanoseconds(text: &str) -> Result<Value, String> {
    let nanoseconds = duration::parse(text).ok_or_else(|| {
        "expected a duration with its unit, such as 100ms, 5s or 1h30m".to_owned()
    })?;
    let positive = u64::try_from(nanoseconds).map_err(|_| "a duration cannot be negative")?;
    Ok(Value::Duration(positive))
}

fn choice(text: &str, words: &[&str]) -> Result<Value, String> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(match words {
        [only] => format!("expected {only}"),
        [most @ .., last] => format!("expected {} or {last}", most.join(", ")),
        [] => "expected nothing".into(),
    })
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Kind = Kind::Integer { min: 1, max: 9 };

    #[test]
    fn reads_what_go_reads() {
        assert_eq!(Value::parse(Kind::Bool, "T"), Ok(Value::Bool(true)));
        assert_eq!(Value::parse(SMALL, "0x9"), Ok(Value::Integer(9)));
        assert_eq!(Value::parse(Kind::Duration, "1ms"), Ok(Value::Duration(1_000_000)));
        let words = Value::List(vec!["a".into(), "b".into()]);
        assert_eq!(Value::parse(Kind::List, "a, b,"), Ok(words));
    }

    #[test]
    fn says_what_was_expected() {
        let cases = [
            (SMALL, "10", "expected a whole number from 1 to 9"),
            (SMALL, "", "expected a whole number"),
            (SMALL, "--1", "expected a whole number"),
            (SMALL, "0x", "expected a whole number"),
            (SMALL, "1.5", "expected a whole number"),
            (SMALL, "99999999999999999999", "expected a whole number"),
            (Kind::Integer { min: 0, max: i64::MAX }, "-1", "expected a whole number, at least 0"),
            (Kind::Bool, "yes", "expected true or false"),
            (Kind::Duration, "5", "expected a duration with its unit, such as 100ms, 5s or 1h30m"),
            (Kind::Duration, "-5s", "a duration cannot be negative"),
            (Kind::Choice(&["a", "b", "c"]), "d", "expected a, b or c"),
            (Kind::Choice(&["zap"]), "capnslog", "expected zap"),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(Value::parse(kind, text).unwrap_err(), expected, "{text:?}");
        }
    }
}
