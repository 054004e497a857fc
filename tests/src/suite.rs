//! Suites of asynchronous tests, one case per server, skipped by name where one cannot run.
//!
//! A skipped case is listed as ignored, with its reason on stderr: runners count it as skipped,
//! never as passed.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::server::Server;

type Body = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Collects cases, then runs or lists them as the command line says.
#[derive(Default)]
pub struct Suite {
    cases: Vec<Case>,
}

struct Case {
    name: String,
    skip: Option<String>,
    body: Body,
}

impl Suite {
    /// No cases yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One case. `skip` is the reason why it cannot run here, if there is one.
    pub fn case<F, R>(&mut self, name: impl Into<String>, skip: Option<String>, body: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = ()> + 'static,
    {
        let body: Body = Box::new(move || Box::pin(body()));
        self.cases.push(Case { name: name.into(), skip, body });
    }

    /// The case `name` once for ours and once for every real etcd found; without any etcd the
    /// second one is listed as skipped.
    pub fn on_each<F, R>(&mut self, name: &str, body: F)
    where
        F: FnOnce(Server) -> R + Send + Clone + 'static,
        R: Future<Output = ()> + 'static,
    {
        self.on_ours(name, None, body.clone());
        let references = Server::references();
        if references.is_empty() {
            self.case(format!("etcd::{name}"), Some("no real etcd installed".into()), || async {});
        }
        for reference in references {
            let body = body.clone();
            self.case(format!("{}::{name}", reference.label()), None, move || body(reference));
        }
    }

    /// The case `name` for ours only. A product that is not built fails the case: it is no skip.
    pub fn on_ours<F, R>(&mut self, name: &str, skip: Option<String>, body: F)
    where
        F: FnOnce(Server) -> R + Send + 'static,
        R: Future<Output = ()> + 'static,
    {
        self.case(format!("ours::{name}"), skip, move || async move {
            match Server::ours() {
                Ok(server) => body(server).await,
                Err(reason) => panic!("{reason}"),
            }
        });
    }

    /// Runs what the command line asks for.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        // The message says what differs; a backtrace through the runtime would bury it.
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        // Runners list twice, the second time only ignored cases, and then run each case by its
        // exact name: say the reasons once.
        let speak = if arguments.list { !arguments.ignored } else { !arguments.exact };
        let trials = self.cases.into_iter().map(|case| {
            if let Some(reason) = case.skip.as_ref().filter(|_| speak) {
                eprintln!("skipped: {}: {reason}", case.name);
            }
            let ignored = case.skip.is_some();
            let reason = case.skip;
            Trial::test(case.name, move || match reason {
                Some(reason) => Err(format!("cannot run here: {reason}").into()),
                None => {
                    block_on((case.body)());
                    Ok(())
                }
            })
            .with_ignored_flag(ignored)
        });
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }
}

/// Whether long tests were asked for; else the reason to skip them.
pub fn extended() -> Option<String> {
    let asked = std::env::var("QUORATE_EXTENDED").is_ok_and(|value| value == "1");
    (!asked).then(|| "long; set QUORATE_EXTENDED=1".to_owned())
}

fn block_on(body: Pin<Box<dyn Future<Output = ()>>>) {
    // One thread: members are children of the thread that waits for the body, so they die with it.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body);
}
