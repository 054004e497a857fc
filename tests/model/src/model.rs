//! The face of the stand-in: what a person or a test does to a Juju model.

mod actions;
mod change;
mod faults;
mod grow;
mod look;
mod shrink;
mod time;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::busy::Busy;
use crate::error::{At, Error, Result};
use crate::machine::Network;
use crate::random::Random;
use crate::run::Runner;
use crate::server;
use crate::state::{Bag, Counters, State};
use crate::version::Version;

/// Tries of a failing hook before the unit waits for [`Model::resolve`].
const RETRIES_MAX: u32 = 8;
/// Time a hook may run by default; Juju itself knows no limit.
const HOOK_LIMIT: Duration = Duration::from_secs(300);
/// Machine of a consumer's unit, which has none.
pub(crate) const NO_MACHINE: u32 = u32::MAX;

/// How a model is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides every order Juju does not fix. The same seed gives the same order as long as the
    /// hooks do the same.
    pub seed: u64,
    /// The Juju that is played.
    pub juju: Version,
    /// Hooks of different machines run at the same time. Off: one after another, which replays
    /// exactly.
    pub is_parallel: bool,
    /// Tries of a failing hook before the unit waits for [`Model::resolve`].
    pub retries_max: u32,
    /// A hook that runs longer is killed and counts as failed.
    pub hook_limit: Duration,
    /// Directory of this package's executables; none: beside the running executable.
    pub programs: Option<PathBuf>,
    /// Where the model keeps its files; none: a temporary directory that goes with the model. Keep
    /// it short: unix sockets below it have to fit 108 bytes.
    pub dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            juju: Version::V3_6,
            is_parallel: false,
            retries_max: RETRIES_MAX,
            hook_limit: HOOK_LIMIT,
            programs: None,
            dir: None,
        }
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// `completed` or `failed`.
    pub status: String,
    /// What `action-set` wrote, keys as written (`result-map.message`).
    pub results: Bag,
    /// What `action-fail` said, empty otherwise.
    pub message: String,
    /// Lines of `action-log`.
    pub log: Vec<String>,
    /// What the action printed.
    pub stdout: String,
    /// What the action printed as errors.
    pub stderr: String,
    /// Exit code; none when it was killed.
    pub return_code: Option<i32>,
}

/// A Juju model with its machines. Dropping it ends every process it has started.
#[derive(Debug)]
pub struct Model {
    state: Arc<Mutex<State>>,
    network: Mutex<Network>,
    runner: Arc<Runner>,
    busy: Arc<Busy>,
    options: Options,
    programs: PathBuf,
    /// Held while hooks or an action run: an action waits for hooks, hooks for an action. Not the
    /// state's lock, which the tools of what runs need.
    turn: Mutex<()>,
    _dir: Option<tempfile::TempDir>,
}

impl Model {
    /// An empty model. Errors when the package's executables cannot be found or no loopback
    /// network is free.
    pub fn new(options: Options) -> Result<Self> {
        let (dir, held) = match &options.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let held =
                    tempfile::Builder::new().prefix("qm").tempdir().at("temporary directory")?;
                (held.path().to_owned(), Some(held))
            }
        };
        for folder in ["tools", "bin", "out"] {
            std::fs::create_dir_all(dir.join(folder)).at(dir.display())?;
        }
        let programs = programs(options.programs.as_deref())?;
        for tool in crate::system::TOOLS {
            link(&programs.join("system-tool"), &dir.join("bin").join(tool))?;
        }
        let state = Arc::new(Mutex::new(State {
            juju: options.juju,
            random: Random::new(options.seed),
            model_uuid: format!("00000000-0000-4000-8000-{:012x}", options.seed & 0xffff_ffff_ffff),
            apps: BTreeMap::new(),
            units: BTreeMap::new(),
            machines: BTreeMap::new(),
            relations: BTreeMap::new(),
            storages: BTreeMap::new(),
            secrets: BTreeMap::new(),
            contexts: BTreeMap::new(),
            journal: Vec::new(),
            log: Vec::new(),
            faults: Vec::new(),
            proxies: Bag::new(),
            counters: Counters::default(),
            is_closed: false,
        }));
        server::listen(&dir.join("agent.sock"), Arc::clone(&state))?;
        let runner = Arc::new(Runner { dir, hook_limit: options.hook_limit });
        Ok(Self {
            state,
            network: Mutex::new(Network::claim()?),
            runner,
            busy: Arc::default(),
            options,
            programs,
            turn: Mutex::new(()),
            _dir: held,
        })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.close();
    }
}

/// Cargo puts a package's executables beside, or one above, its tests.
fn programs(given: Option<&Path>) -> Result<PathBuf> {
    let own = std::env::current_exe().at("own executable")?;
    let mut places: Vec<&Path> = given.into_iter().collect();
    places.extend(own.ancestors().skip(1).take(2));
    places
        .into_iter()
        .find(|dir| ["hook-tool", "machine-init", "system-tool"].iter().all(|name| dir.join(name).exists()))
        .map(Path::to_owned)
        .ok_or_else(|| Error::new(format!("hook-tool, machine-init and system-tool are not beside {}: run `cargo build -p quorate-model`", own.display())))
}

fn link(program: &Path, name: &Path) -> Result<()> {
    match std::os::unix::fs::symlink(program, name) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).at(name.display())
        }
        _ => Ok(()),
    }
}
