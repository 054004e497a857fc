//! One child process, with a time limit and a bound on what it may write.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What a process may take and give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From start to end.
    pub(crate) time_max: Duration,
    /// Of standard output; one byte more is a failure.
    pub(crate) stdout_bytes_max: usize,
    /// Of standard error that is kept; the rest is dropped.
    pub(crate) stderr_bytes_max: usize,
}

/// What a process that ended by itself left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Why there is nothing to show; the process is gone in each case.
#[derive(Debug)]
pub(crate) enum Failure {
    NotRun(io::Error),
    TooMuchOutput,
    TimedOut,
}

/// How often to ask whether a process is gone that has closed both its outputs; most are at once.
const EXIT_POLL: Duration = Duration::from_millis(1);

enum Stream {
    Stdout(io::Result<Vec<u8>>),
    Stderr(io::Result<Vec<u8>>),
}

/// Runs `command` to its end. Each stream has a thread of its own: a tool may fill one while we
/// wait for another. The threads are never joined, because a grandchild that inherited a stream
/// could hold it open for ever.
pub(crate) fn run(
    mut command: Command,
    stdin: Option<Vec<u8>>,
    limits: Limits,
) -> Result<Finished, Failure> {
    let deadline = Instant::now() + limits.time_max;
    let input = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().map_err(Failure::NotRun)?);
    let streams = running.attach(stdin, limits).map_err(Failure::NotRun)?;
    let (stdout, stderr) = collect(&streams, deadline, limits.stdout_bytes_max)?;
    let status = running.wait(deadline)?;
    Ok(Finished { status, stdout, stderr })
}

/// Waits for both streams. Ends early when standard output is over its bound: its reader stops
/// there, and the process may never notice.
fn collect(
    streams: &Receiver<Stream>,
    deadline: Instant,
    stdout_bytes_max: usize,
) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (mut stdout, mut stderr) = (None, None);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match streams.recv_timeout(left).map_err(|_| Failure::TimedOut)? {
            Stream::Stdout(bytes) => stdout = Some(bytes.map_err(Failure::NotRun)?),
            Stream::Stderr(bytes) => stderr = Some(bytes.map_err(Failure::NotRun)?),
        }
        if stdout.as_ref().is_some_and(|bytes| bytes.len() > stdout_bytes_max) {
            return Err(Failure::TooMuchOutput);
        }
        if stdout.is_some() && stderr.is_some() {
            return Ok((stdout.unwrap_or_default(), stderr.unwrap_or_default()));
        }
    }
}

/// A child that does not outlive this value.
struct Running(Child);

impl Running {
    fn attach(&mut self, stdin: Option<Vec<u8>>, limits: Limits) -> io::Result<Receiver<Stream>> {
        let (sender, streams) = channel();
        if let (Some(bytes), Some(mut pipe)) = (stdin, self.0.stdin.take()) {
            // A tool may end without reading its input; its exit code tells what that means.
            spawn("hook-tool-stdin", move || drop(pipe.write_all(&bytes)))?;
        }
        if let Some(pipe) = self.0.stdout.take() {
            let bytes_max = limits.stdout_bytes_max;
            let sender: Sender<Stream> = sender.clone();
            spawn("hook-tool-stdout", move || {
                let bytes = read_over(pipe, bytes_max);
                drop(sender.send(Stream::Stdout(bytes)));
            })?;
        }
        if let Some(pipe) = self.0.stderr.take() {
            let bytes_max = limits.stderr_bytes_max;
            spawn("hook-tool-stderr", move || {
                let bytes = read_start(pipe, bytes_max);
                drop(sender.send(Stream::Stderr(bytes)));
            })?;
        }
        Ok(streams)
    }

    fn wait(&mut self, deadline: Instant) -> Result<ExitStatus, Failure> {
        loop {
            if let Some(status) = self.0.try_wait().map_err(Failure::NotRun)? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(Failure::TimedOut);
            }
            thread::sleep(EXIT_POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that has been waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Reads everything, but no more than one byte over the bound.
fn read_over(pipe: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Keeps the start and reads the rest away, so that the writer does not block.
fn read_start(mut pipe: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.by_ref().take(bytes_max as u64).read_to_end(&mut bytes)?;
    io::copy(&mut pipe, &mut io::sink())?;
    Ok(bytes)
}
