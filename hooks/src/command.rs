//! Running a program of the machine, with a time limit.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How much of each output is kept, in bytes; what is beyond is read and dropped.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often to ask whether the program has ended.
const POLL: Duration = Duration::from_millis(5);

/// How long to wait for output after the program has ended: a child of its own may hold it open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// What a program that ended left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A program could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started or waited for.
    #[error("cannot run {program}: {source}")]
    NotRun {
        /// The program.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It took too long and was killed.
    #[error("{program} did not end within {} s and was stopped", time_max.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        time_max: Duration,
    },
    /// It ended with a failure.
    #[error("{program} failed: {reason}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// The last line it wrote to standard error.
        reason: String,
    },
}

impl Finished {
    /// True for exit code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line of standard error that says something: the reason of a failure.
    pub fn reason(&self) -> String {
        let mut lines = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
        let code = || match self.code {
            Some(code) => format!("exit code {code}, no reason given"),
            None => "killed by a signal".to_owned(),
        };
        lines.next_back().map_or_else(code, str::to_owned)
    }
}

/// Runs `command` to its end, for at most `time_max`; then it is killed.
///
/// # Errors
///
/// When it cannot be started or does not end in time; an exit code is no error here.
pub fn run(mut command: Command, time_max: Duration) -> Result<Finished, CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let not_run = |source| CommandError::NotRun { program: program.clone(), source };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(not_run)?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let deadline = Instant::now() + time_max;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(not_run)? {
            break status;
        }
        if Instant::now() >= deadline {
            end(child);
            return Err(CommandError::TimedOut { program, time_max });
        }
        thread::sleep(POLL);
    };
    let text = |output: Receiver<Vec<u8>>| {
        let bytes = output.recv_timeout(LAST_OUTPUT).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished { code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// Runs `command` and takes any failure as an error.
///
/// # Errors
///
/// As [`run`], and when the exit code is not 0.
pub fn run_well(command: Command, time_max: Duration) -> Result<Finished, CommandError> {
    let program = described(&command);
    let finished = run(command, time_max)?;
    match finished.is_success() {
        true => Ok(finished),
        false => Err(CommandError::Failed { program, reason: finished.reason() }),
    }
}

fn described(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn end(mut child: Child) {
    // It may have ended in between; then there is nothing to kill and something to reap.
    drop(child.kill());
    drop(child.wait());
}

/// Reads a pipe on a thread of its own, so that a full pipe blocks nobody.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, output) = channel();
    thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut bytes = Vec::new();
        // What was read before a failing read is still worth showing.
        drop(pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes));
        drop(std::io::copy(&mut pipe, &mut std::io::sink()));
        drop(sender.send(bytes));
    });
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn code_and_both_outputs_are_kept() {
        let finished =
            run(shell("echo out; echo no >&2; exit 3"), Duration::from_secs(10)).unwrap();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), "out\n"));
        assert_eq!(finished.reason(), "no");
        let failed = run_well(shell("exit 4"), Duration::from_secs(10)).unwrap_err().to_string();
        assert!(failed.contains("exit code 4"), "{failed}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let error = run(shell("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(Command::new("/nowhere/quorate"), Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("/nowhere/quorate"), "{error}");
    }
}
