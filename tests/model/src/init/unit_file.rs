//! Reads a .service file: sections, repeated keys, continuation lines.

use std::path::Path;
use std::time::Duration;

/// The settings of a unit that the stand-in heeds; others (hardening, users) are left alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitFile {
    settings: Vec<(String, String, String)>,
}

impl UnitFile {
    /// Parses; lines it cannot read are an error with the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut unit = Self::default();
        let mut section = String::new();
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.into();
            } else if let Some((key, value)) = line.split_once('=') {
                unit.settings.push((section.clone(), key.trim().into(), value.trim().into()));
            } else {
                return Err(format!("bad line \"{line}\""));
            }
        }
        if unit.all("Service", "ExecStart").is_empty() {
            return Err("Service has no ExecStart=".into());
        }
        Ok(unit)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// All values of a key; an empty one forgets those before it.
    pub(crate) fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, _, value) in
            self.settings.iter().filter(|(of, name, _)| of == section && name == key)
        {
            if value.is_empty() { values.clear() } else { values.push(value.as_str()) }
        }
        values
    }

    /// The last value of a key in [Service].
    pub(crate) fn last(&self, key: &str) -> Option<&str> {
        self.all("Service", key).last().copied()
    }

    /// A time of [Service].
    pub(crate) fn time(&self, key: &str, default: Duration) -> Duration {
        self.last(key).and_then(parse_time).unwrap_or(default)
    }
}

/// `90`, `1.5s`, `500ms`, `1min 30s`, `infinity`.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
    if text == "infinity" {
        return Some(FOREVER);
    }
    let mut total = 0.0;
    for part in text.split_whitespace() {
        let digits = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
        let number: f64 = part[..digits].parse().ok()?;
        total += number
            * match &part[digits..] {
                "" | "s" | "sec" => 1.0,
                "ms" => 0.001,
                "us" => 0.000_001,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
    }
    Duration::try_from_secs_f64(total).ok()
}
