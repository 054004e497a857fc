//! docs/flags.md, from the tables.

use std::fmt::Write;

use super::flags::{self, Flag, Group, Kind, Status};

const INTRODUCTION: &str = "\
# Flags

Written by `cargo xtask docs` from the tables in `agent/src/config/flags`; do not edit.

`--some-flag value`, `--some-flag=value`, `-some-flag value`, the variable `ETCD_SOME_FLAG` and
the key `some-flag` of a configuration file mean the same. A flag together with its variable is an
error; with `--config-file` the file alone counts. Durations have a unit (`100ms`, `5s`, `1h30m`);
in a file a bare number is nanoseconds. The keys of the sections `client-transport-security`,
`peer-transport-security`, `discovery-config` and `socket-options` are recognised too.

What the last column means: *works*: it does what it says. *not yet*: anything but the default
stops the start with one line that gives the reason. *refused*: likewise, and that will stay.
*no effect*: accepted with a warning. *earlier name*: accepted with a warning, means the other.
";

/// The whole page.
pub fn flags_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in Group::ALL {
        let mut rows: Vec<String> =
            flags::all().filter(|flag| flag.group == group).map(row).collect();
        if group == Group::General {
            rows.extend(GENERAL.map(str::to_owned));
        }
        let title = group.title();
        let _ = write!(page, "\n## {title}\n\n{HEAD}\n{}\n", rows.join("\n"));
    }
    page
}

const HEAD: &str = "\
| Flag | Value | Default | What for | State |
|---|---|---|---|---|";

const GENERAL: [&str; 3] = [
    "| `--config-file` | text |  | YAML or JSON file with the settings; flags and variables are \
     then ignored. | works |",
    "| `--version` | bool | `false` | Print the version and stop. | works |",
    "| `--help` | bool | `false` | Print the flags and stop; also `-h`. | works |",
];

fn row(flag: &Flag) -> String {
    let value = match flag.kind {
        Kind::Choice(words) => {
            words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ")
        }
        kind => kind.name().to_owned(),
    };
    let default = match flag.default {
        "" => String::new(),
        text => format!("`{text}`"),
    };
    let state = match flag.status {
        Status::Works => "works".to_owned(),
        Status::Later(_) => "not yet".to_owned(),
        Status::Refused(reason) => format!("refused: {reason}"),
        Status::Ignored(reason) => format!("no effect: {reason}"),
        Status::AliasOf(name) => format!("earlier name of `--{name}`"),
    };
    format!("| `--{}` | {value} | {default} | {} | {state} |", flag.name, flag.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flags.md");

    /// With `QUORATE_DOCS=write` in the environment this writes the page: `cargo xtask docs`.
    #[test]
    fn the_flags_page_says_what_the_tables_say() {
        if std::env::var_os("QUORATE_DOCS").is_some_and(|mode| mode == "write") {
            std::fs::write(PATH, flags_markdown()).unwrap();
        }
        let page = std::fs::read_to_string(PATH).unwrap();
        assert!(page == flags_markdown(), "docs/flags.md is out of date: run cargo xtask docs");
    }
}
