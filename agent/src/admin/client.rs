//! `quorate admin`: one question over the socket, one answer on stdout.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::UnixStream;

use super::command::Command;

/// Bytes of an answer: many times the status of the largest cluster.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Ends a command to which the member has said no, or no answer came.
const REFUSED: u8 = 1;

/// Ends a command for which no member was there.
const UNREACHABLE: u8 = 3;

/// Why there is no answer.
#[derive(Debug, Error)]
enum AskError {
    #[error("no member listens on {path}: {error}; is the process running, is this its socket?")]
    Unreachable { path: String, error: io::Error },
    #[error("may not connect to {path}: only root and the member's own user may")]
    Denied { path: String },
    #[error("no answer on {path} within {seconds} s; what was started may go on")]
    Late { path: String, seconds: u64 },
    #[error("no whole answer on {path}: {reason}")]
    Broken { path: String, reason: String },
}

impl AskError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => UNREACHABLE,
            Self::Denied { .. } | Self::Late { .. } | Self::Broken { .. } => REFUSED,
        }
    }
}

/// Asks, prints, and says with which code to end.
pub fn run(command: &Command) -> ExitCode {
    match ask_in_time(command) {
        Ok((status, text)) => {
            let mut stdout = io::stdout();
            // A reader who has seen enough closes the pipe; that is no failure.
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
            if status.is_success() {
                return ExitCode::SUCCESS;
            }
            eprintln!("quorate: {}", line(status, &text));
            ExitCode::from(REFUSED)
        }
        Err(error) => {
            eprintln!("quorate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// What a refusal says to people.
fn line(status: StatusCode, text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    match answer["error"].as_str() {
        Some(error) => error.to_owned(),
        None => format!("the member answered {status}"),
    }
}

fn ask_in_time(command: &Command) -> Result<(StatusCode, String), AskError> {
    let path = command.socket.display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AskError::Broken { path: path.clone(), reason: error.to_string() })?;
    runtime.block_on(async {
        let late = || AskError::Late { path, seconds: command.timeout.as_secs() };
        tokio::time::timeout(command.timeout, ask(command)).await.map_err(|_| late())?
    })
}

async fn ask(command: &Command) -> Result<(StatusCode, String), AskError> {
    let stream = connect(&command.socket).await?;
    let path = command.socket.display().to_string();
    exchange(command, stream).await.map_err(|reason| AskError::Broken { path, reason })
}

async fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    UnixStream::connect(socket).await.map_err(|error| {
        let path = socket.display().to_string();
        match error.kind() {
            io::ErrorKind::PermissionDenied => AskError::Denied { path },
            _ => AskError::Unreachable { path, error },
        }
    })
}

async fn exchange(command: &Command, stream: UnixStream) -> Result<(StatusCode, String), String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends with the sender; what is wrong with it is told to the request.
    let connection = tokio::spawn(connection);
    let body = command.body.as_ref().map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(&command.method)
        .uri(&command.path)
        .header(HOST, "quorate")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| {
        format!("{error}; it is closed at once to other users than root and the member's own")
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_members_words() {
        let text = r#"{"error":"the last one","code":"last-voter"}"#;
        assert_eq!(line(StatusCode::CONFLICT, text), "the last one");
        assert_eq!(line(StatusCode::BAD_GATEWAY, "?"), "the member answered 502 Bad Gateway");
    }
}
