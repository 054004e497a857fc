//! A directory of hook tools that say what the test wants and write down what they were given.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use juju::Tools;
use tempfile::TempDir;

/// Writes down arguments, each ended by a zero byte, and standard input, then goes on.
const RECORD: &str = r#"#!/bin/sh
here=${0%/*}; tool=${0##*/}
for argument in "$@"; do printf '%s\0' "$argument"; done >"$here/$tool.argv"
cat >"$here/$tool.stdin"
"#;

pub struct Fake(TempDir);

impl Fake {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    /// A tool that writes down its call, prints `stdout` and succeeds.
    pub fn answering(self, tool: &str, stdout: impl AsRef<[u8]>) -> Self {
        fs::write(self.file(tool, "stdout"), stdout).expect("write the answer");
        self.running(tool, &format!("{RECORD}cat \"$here/$tool.stdout\"\n"))
    }

    /// A tool that prints `stderr` and fails.
    pub fn failing(self, tool: &str, code: u8, stderr: impl AsRef<[u8]>) -> Self {
        fs::write(self.file(tool, "stderr"), stderr).expect("write the error");
        self.running(tool, &format!("{RECORD}cat \"$here/$tool.stderr\" >&2\nexit {code}\n"))
    }

    /// A tool that is this script. Another process writes the file: a test of another thread that
    /// forks while we had it open would keep it busy, and it could not be run.
    pub fn running(self, tool: &str, script: &str) -> Self {
        let write = "cat >\"$0\" && chmod 755 \"$0\"";
        let mut command = Command::new("/bin/sh");
        let command = command.arg("-c").arg(write).arg(self.path().join(tool));
        let mut shell = command.stdin(Stdio::piped()).spawn().expect("start a shell");
        let mut stdin = shell.stdin.take().expect("it was asked for");
        stdin.write_all(script.as_bytes()).expect("write the script");
        drop(stdin);
        assert!(shell.wait().expect("wait for the shell").success());
        self
    }

    pub fn tools(&self) -> Tools {
        Tools::in_directory(self.path())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Arguments of the last call.
    pub fn argv(&self, tool: &str) -> Vec<String> {
        let bytes = fs::read(self.file(tool, "argv")).expect("the tool was run");
        let arguments = String::from_utf8(bytes).expect("arguments are UTF-8");
        let mut arguments: Vec<_> = arguments.split('\0').map(str::to_owned).collect();
        assert_eq!(arguments.pop().as_deref(), Some(""));
        arguments
    }

    /// Standard input of the last call.
    pub fn stdin(&self, tool: &str) -> String {
        fs::read_to_string(self.file(tool, "stdin")).expect("the tool was run")
    }

    pub fn was_run(&self, tool: &str) -> bool {
        self.file(tool, "argv").exists()
    }

    pub fn file(&self, tool: &str, what: &str) -> PathBuf {
        self.path().join(format!("{tool}.{what}"))
    }
}
