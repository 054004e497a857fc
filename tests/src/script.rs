//! Command scripts as text files, so that a person can read and extend them.
//!
//! ```text
//! # A comment.
//! members 3                          founding members, default 1
//! label roles                        members are shown by role instead of by name
//! flag --snapshot-count=100          a server flag
//! progress-interval 200ms            interval of watch progress notifications
//! $ etcdctl put a 1                  runs, and is compared: output, error text, exit code
//! | a line for its standard input
//! sorted$ etcdctl member list        as `$`, with the output lines sorted first
//! retry$ etcdctl member add x ...    as `$`, repeated until it succeeds (at most 30 s)
//! save LEASE 2                       variable from the 2nd word of the last output
//! & w1 etcdctl watch a --rev=2       starts in the background
//! wait w1 until last                 its output up to the line containing `last`, or its end
//! ```
//!
//! Words are split as a shell does, with quotes; `$NAME` is replaced. The session provides
//! `$ENDPOINTS`, `$E1`.. (client URLs), `$ID1`.. (member ids in hex), `$LEADER`, `$LEADER_ID`,
//! `$FOLLOWER`, `$FOLLOWER_ID`, `$FREE_URL` (a peer URL nobody uses) and what was saved.

use std::fmt;

/// A parsed script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How many members its cluster has.
    pub members: usize,
    /// Whether members are shown by role: who leads differs from run to run.
    pub by_role: bool,
    /// Server flags.
    pub flags: Vec<String>,
    /// Interval of progress notifications, if it matters.
    pub progress_interval: Option<String>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run a command to its end.
    Run {
        /// As written, for the transcript.
        text: String,
        /// Lines for standard input.
        input: String,
        /// Whether the order of output lines is not part of the contract.
        sorted: bool,
        /// Whether it is repeated until it succeeds: the cluster may not be ready for it yet.
        retried: bool,
    },
    /// Keep a word of the last output.
    Save {
        /// The variable.
        name: String,
        /// Position of the word, from 1.
        word: usize,
    },
    /// Start a command in the background.
    Start {
        /// What `wait` calls it.
        name: String,
        /// As written.
        text: String,
    },
    /// Wait for a background command's output.
    Wait {
        /// Which one.
        name: String,
        /// Ends the output; without it the command has to end.
        until: Option<String>,
    },
}

/// A line that is not part of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not understood: {}", self.line, self.text)
    }
}

impl std::error::Error for ScriptError {}

impl Script {
    /// Parses a script file's text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            members: 1,
            by_role: false,
            flags: Vec::new(),
            progress_interval: None,
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let understood = script.line(line);
            understood.ok_or_else(|| ScriptError { line: index + 1, text: line.to_owned() })?;
        }
        Ok(script)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Some(());
        }
        if let Some(input_line) = line.strip_prefix('|') {
            return self.input_line(input_line.strip_prefix(' ').unwrap_or(input_line));
        }
        let (word, rest) = line.split_once(' ')?;
        match word {
            "members" => self.members = rest.trim().parse().ok()?,
            "label" if rest.trim() == "roles" => self.by_role = true,
            "flag" => self.flags.push(rest.trim().to_owned()),
            "progress-interval" => self.progress_interval = Some(rest.trim().to_owned()),
            "$" => self.run(rest, false, false),
            "sorted$" => self.run(rest, true, false),
            "retry$" => self.run(rest, false, true),
            "save" => {
                let (name, word) = rest.split_once(' ')?;
                let word = word.trim().parse().ok()?;
                self.steps.push(Step::Save { name: name.to_owned(), word });
            }
            "&" => {
                let (name, text) = rest.split_once(' ')?;
                let (name, text) = (name.to_owned(), text.to_owned());
                self.steps.push(Step::Start { name, text });
            }
            "wait" => {
                let (name, until) = match rest.split_once(" until ") {
                    Some((name, until)) => (name, Some(until.to_owned())),
                    None => (rest.trim(), None),
                };
                self.steps.push(Step::Wait { name: name.to_owned(), until });
            }
            _ => return None,
        }
        Some(())
    }

    fn run(&mut self, text: &str, sorted: bool, retried: bool) {
        let (text, input) = (text.to_owned(), String::new());
        self.steps.push(Step::Run { text, input, sorted, retried });
    }

    fn input_line(&mut self, line: &str) -> Option<()> {
        match self.steps.last_mut()? {
            Step::Run { input, .. } => {
                input.push_str(line);
                input.push('\n');
                Some(())
            }
            _ => None,
        }
    }
}

/// Splits a command into words: blanks separate, single and double quotes keep together.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_keeps_input_with_its_command() {
        let script =
            Script::parse("members 3\n# x\n$ etcdctl txn\n| mod(\"a\") = \"0\"\n|\n").unwrap();
        let Step::Run { input, .. } = &script.steps[0] else { panic!("a command") };
        assert_eq!((script.members, input.as_str()), (3, "mod(\"a\") = \"0\"\n\n"));
    }

    #[test]
    fn words_respect_quotes_and_keep_empty_ones() {
        assert_eq!(words("put 'a b' \"\" --x='1 2'"), ["put", "a b", "", "--x=1 2"]);
    }

    #[test]
    fn an_unknown_directive_is_named_with_its_line() {
        assert_eq!(Script::parse("\nfoo bar").unwrap_err().line, 2);
    }
}
