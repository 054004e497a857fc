//! Environment and command lines as systemd makes them (systemd.exec(5), systemd.service(5)).

use std::collections::BTreeMap;
use std::path::Path;

use super::unit_file::UnitFile;

/// Variables of a service.
pub(crate) type Variables = BTreeMap<String, String>;

/// Environment= and then the files, which win. A missing file without `-` is an error.
pub(crate) fn variables(unit: &UnitFile) -> Result<Variables, String> {
    let mut found = Variables::from([
        ("LANG".into(), "C.UTF-8".into()),
        ("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
    ]);
    for line in unit.all("Service", "Environment") {
        found.extend(
            words(line)?
                .into_iter()
                .filter_map(|word| word.split_once('=').map(|(k, v)| (k.into(), v.into()))),
        );
    }
    for name in unit.all("Service", "EnvironmentFile") {
        let (path, is_optional) = name.strip_prefix('-').map_or((name, false), |path| (path, true));
        match std::fs::read_to_string(Path::new(path)) {
            Ok(text) => found.extend(file(&text)),
            Err(_) if is_optional => {}
            Err(error) => return Err(format!("failed to load environment file {path}: {error}")),
        }
    }
    Ok(found)
}

/// KEY=value lines; comments, quotes around the value, continuation lines.
fn file(text: &str) -> Variables {
    let joined = text.replace("\\\n", "");
    let lines = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().into(), unquote(value.trim())))
        .collect()
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return if quote == '"' {
                inner.replace("\\\"", "\"").replace("\\\\", "\\")
            } else {
                inner.into()
            };
        }
    }
    value.into()
}

/// Splits at spaces, with quotes and backslashes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut found, mut word, mut quote, mut is_open) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => (quote, is_open) = (Some(c), true),
            (_, '\\') => {
                word.extend(chars.next());
                is_open = true;
            }
            (None, _) if c.is_whitespace() => {
                if is_open {
                    found.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            _ => {
                word.push(c);
                is_open = true;
            }
        }
    }
    if quote.is_some() {
        return Err(format!("unbalanced quoting in \"{line}\""));
    }
    if is_open {
        found.push(word);
    }
    Ok(found)
}

/// A command line with its variables: `$X` alone becomes zero or more words, `${X}` a part of
/// one. The prefix characters of the executable are dropped; true when one of them was `-`.
pub(crate) fn command(
    line: &str,
    name: &str,
    variables: &Variables,
) -> Result<(Vec<String>, bool), String> {
    let bare = line.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let may_fail = line[..line.len() - bare.len()].contains('-');
    let mut found = Vec::new();
    for word in words(&specifiers(bare, name))? {
        match word.strip_prefix('$') {
            Some(key) if is_name(key) => {
                found.extend(
                    variables
                        .get(key)
                        .map(String::as_str)
                        .unwrap_or_default()
                        .split_whitespace()
                        .map(str::to_owned),
                );
            }
            _ => found.push(braces(&word, variables)),
        }
    }
    if found.is_empty() { Err(format!("empty command \"{line}\"")) } else { Ok((found, may_fail)) }
}

fn specifiers(line: &str, name: &str) -> String {
    let stem = name.trim_end_matches(".service");
    line.replace("%%", "\0")
        .replace("%n", name)
        .replace("%N", stem)
        .replace("%p", stem)
        .replace('\0', "%")
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn braces(word: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((key, tail)) =
            after.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            out.push_str(variables.get(key).map_or("", String::as_str));
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// What listens on every address of a machine listens on the one address it has.
pub(crate) fn at_home(text: &str, address: &str) -> String {
    ["//0.0.0.0:", "//[::]:", "//127.0.0.1:", "//localhost:"]
        .iter()
        .fold(text.to_owned(), |text, wild| text.replace(wild, &format!("//{address}:")))
}
