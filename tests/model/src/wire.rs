//! Between the hook-tool executable and the model: one line of JSON each way over a unix socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// What a tool asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// `JUJU_CONTEXT_ID`.
    pub context: String,
    /// Working directory; relative file names are below it.
    pub dir: String,
    /// Name it was called by.
    pub tool: String,
    /// Arguments without the name.
    pub args: Vec<String>,
    /// Standard input, once the model has asked for it.
    pub stdin: Option<String>,
}

/// What the model answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Exit code.
    pub code: u8,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Ask again, with standard input.
    pub wants_stdin: bool,
}

/// Sends one line and reads one.
pub(crate) fn exchange(socket: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

/// The hook-tool executable: does what the tool it was called as does in Juju.
pub fn hook_tool() -> ExitCode {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let tool = called.rsplit('/').next().unwrap_or_default().to_owned();
    let Ok(context) = std::env::var("JUJU_CONTEXT_ID") else {
        return refuse("JUJU_CONTEXT_ID not set");
    };
    let Ok(socket) = std::env::var("JUJU_AGENT_SOCKET_ADDRESS") else {
        return refuse("JUJU_AGENT_SOCKET_ADDRESS not set");
    };
    let dir = std::env::current_dir().unwrap_or_default().display().to_string();
    let mut request = Request { context, dir, tool, args: args.collect(), stdin: None };
    let mut answer = match call(&socket, &request) {
        Ok(answer) => answer,
        Err(error) => return refuse(&format!("{socket}: {error}")),
    };
    if answer.wants_stdin {
        let mut stdin = Vec::new();
        if let Err(error) = std::io::stdin().read_to_end(&mut stdin) {
            return refuse(&format!("cannot read stdin: {error}"));
        }
        request.stdin = Some(String::from_utf8_lossy(&stdin).into_owned());
        answer = match call(&socket, &request) {
            Ok(answer) => answer,
            Err(error) => return refuse(&format!("{socket}: {error}")),
        };
    }
    // A hook that closed its end of the pipe does not want the output.
    let _ = std::io::stdout().write_all(answer.stdout.as_bytes());
    let _ = std::io::stderr().write_all(answer.stderr.as_bytes());
    ExitCode::from(answer.code)
}

/// Asks the model from inside a hook.
pub(crate) fn call(socket: &str, request: &Request) -> std::io::Result<Answer> {
    let line = serde_json::to_string(request)?;
    Ok(serde_json::from_str(&exchange(Path::new(socket), &line)?)?)
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("ERROR {why}");
    ExitCode::FAILURE
}
