//! The cases of a suite. Without a charm they are listed as skipped, by name and with the reason.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use super::tree;

/// A name, the reason why it cannot run here if there is one, and what it does.
type Case = (String, Option<String>, Box<dyn FnOnce() + Send>);

/// Collects cases, then runs or lists them as the command line says.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Case>,
}

impl Suite {
    /// No cases yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One case; its panic is its failure.
    pub fn case(&mut self, name: impl Into<String>, body: impl FnOnce() + Send + 'static) {
        self.trials.push((name.into(), tree().err(), Box::new(body)));
    }

    /// One case that needs something more than the charm's tree; `Err` says what to type for it.
    pub fn case_with<T>(
        &mut self,
        name: impl Into<String>,
        need: Result<T, String>,
        body: impl FnOnce() + Send + 'static,
    ) {
        self.trials.push((name.into(), tree().err().or_else(|| need.err()), Box::new(body)));
    }

    /// One case that takes long: it runs when `QUORATE_EXTENDED=1` asks for it.
    pub fn extended(&mut self, name: impl Into<String>, body: impl FnOnce() + Send + 'static) {
        let long = || (!is_extended()).then(|| "long: set QUORATE_EXTENDED=1".to_owned());
        self.trials.push((name.into(), tree().err().or_else(long), Box::new(body)));
    }

    /// Says by name that something is left out, and why.
    pub fn skipped(&mut self, name: &str, reason: &str) {
        self.trials.push((name.to_owned(), Some(reason.to_owned()), Box::new(|| ())));
    }

    /// Runs what the command line asks for.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        // Runners list twice and then run each case by its exact name: say the reasons once.
        let speak = if arguments.list { !arguments.ignored } else { !arguments.exact };
        let trials = self.trials.into_iter().map(|(name, skip, body)| {
            if let Some(reason) = skip.as_ref().filter(|_| speak) {
                eprintln!("skipped: {name}: {reason}");
            }
            let is_skipped = skip.is_some();
            let run = move || match skip {
                Some(reason) => Err(format!("cannot run here: {reason}").into()),
                None => {
                    body();
                    Ok(())
                }
            };
            Trial::test(name, run).with_ignored_flag(is_skipped)
        });
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }
}

/// Whether long tests were asked for.
pub fn is_extended() -> bool {
    std::env::var("QUORATE_EXTENDED").is_ok_and(|value| value == "1")
}
