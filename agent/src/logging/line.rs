//! One log line, in the layout of etcd's zap logger.
//!
//! JSON: `{"level":"info","ts":"2026-01-02T03:04:05.678Z","caller":"file.rs:9","msg":"…",…}`, the
//! event's fields behind. Console: the same four separated by tabs, then the fields as JSON.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::config::LogFormat;

/// A longer text is cut: with the bound on queued lines this bounds a queue's memory.
const TEXT_BYTES_MAX: usize = 4096;
/// tracing has this bound too.
const FIELDS_MAX: usize = 32;

/// The line of an event.
pub(super) fn of_event(event: &Event<'_>, format: LogFormat) -> Vec<u8> {
    let metadata = event.metadata();
    let mut fields = Fields::default();
    event.record(&mut fields);
    let level = match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    };
    let caller = caller(metadata.file().unwrap_or("?"), metadata.line().unwrap_or(0));
    write(format, level, now(), &caller, &fields.message, &fields.others)
}

/// A line that does not come from an event.
pub(super) fn of_text(
    format: LogFormat,
    level: &str,
    location: &Location<'_>,
    message: &str,
    fields: &[(&str, Value)],
) -> Vec<u8> {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    write(format, level, now(), &caller(location.file(), location.line()), message, &fields)
}

fn write(
    format: LogFormat,
    level: &str,
    time: SystemTime,
    caller: &str,
    message: &str,
    fields: &Map<String, Value>,
) -> Vec<u8> {
    let ts = timestamp(time);
    let rest = if fields.is_empty() { String::new() } else { json(fields) };
    let line = match format {
        LogFormat::Json => {
            // The object's own braces go; what is left follows the fixed part.
            let rest = match rest.get(1..rest.len().saturating_sub(1)) {
                Some(inner) if !inner.is_empty() => format!(",{inner}"),
                _ => String::new(),
            };
            let (caller, message) = (json(caller), json(message));
            format!(
                "{{\"level\":\"{level}\",\"ts\":\"{ts}\",\"caller\":{caller},\"msg\":{message}{rest}}}\n"
            )
        }
        LogFormat::Console => {
            let message = message.replace('\n', "\\n");
            let tab = if rest.is_empty() { "" } else { "\t" };
            format!("{ts}\t{level}\t{caller}\t{message}{tab}{rest}\n")
        }
    };
    line.into_bytes()
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("text and maps with text keys are always JSON")
}

/// The last directory and the file, as zap shortens it.
fn caller(file: &str, line: u32) -> String {
    let mut parts = file.rsplit('/');
    let (file, directory) = (parts.next().unwrap_or(file), parts.next());
    match directory {
        Some(directory) => format!("{directory}/{file}:{line}"),
        None => format!("{file}:{line}"),
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970: the year is taken to begin in March, so that the leap
/// day is its last, and months follow a pattern of 153 days in five.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The message and the other fields, in the order of the alphabet.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if self.others.len() < FIELDS_MAX {
            self.others.insert(field.name().trim_start_matches("r#").to_owned(), value);
        }
    }

    fn put_text(&mut self, field: &Field, text: String) {
        let text = cut(text);
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn both_layouts_are_zaps() {
        let fields = [("n".to_owned(), 3.into()), ("of".to_owned(), "a\"b".into())];
        let fields = fields.into_iter().collect();
        let line = |format, fields: &Map<String, Value>| {
            let bytes = write(format, "info", UNIX_EPOCH, "a/b.rs:1", "hello \"you\"\n", fields);
            String::from_utf8(bytes).unwrap()
        };
        let fixed = r#"{"level":"info","ts":"1970-01-01T00:00:00.000Z","caller":"a/b.rs:1","#;
        let message = r#""msg":"hello \"you\"\n""#;
        let json = format!("{fixed}{message},\"n\":3,\"of\":\"a\\\"b\"}}\n");
        assert_eq!(line(LogFormat::Json, &fields), json);
        assert_eq!(line(LogFormat::Json, &Map::new()), format!("{fixed}{message}}}\n"));
        assert_eq!(
            line(LogFormat::Console, &fields),
            "1970-01-01T00:00:00.000Z\tinfo\ta/b.rs:1\thello \"you\"\\n\t{\"n\":3,\"of\":\"a\\\"b\"}\n"
        );
    }

    #[test]
    fn callers_keep_one_directory() {
        assert_eq!(caller("agent/src/server/mod.rs", 7), "server/mod.rs:7");
        assert_eq!(caller("main.rs", 7), "main.rs:7");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = cut("é".repeat(TEXT_BYTES_MAX));
        assert_eq!(text.len(), TEXT_BYTES_MAX + 3);
        assert!(text.ends_with("é..."));
    }
}
