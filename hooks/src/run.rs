//! What the program of a hook does.

use std::process::ExitCode;

use juju::{Environment, Hook, Level, Scope, Status, Tools};

use crate::agent::Agent;
use crate::apply::Charm;
use crate::decide::decide;
use crate::error::Error;
use crate::files;
use crate::gather::gather;
use crate::limits::Limits;
use crate::notes::Notebook;
use crate::paths::{Paths, ROOT_VARIABLE};
use crate::publish::publish;
use crate::service::Service;

/// The unit this process works for.
#[derive(Debug, Clone)]
pub struct Unit {
    /// What Juju told.
    pub environment: Environment,
    /// Juju's tools.
    pub tools: Tools,
    /// Where things are.
    pub paths: Paths,
    /// Its service.
    pub service: Service,
    /// How long to wait for what.
    pub limits: Limits,
}

impl Unit {
    /// The unit that this process's variables name.
    ///
    /// # Errors
    ///
    /// When this does not run under Juju.
    pub fn from_process() -> Result<Self, Error> {
        let environment = Environment::from_process()?;
        let root = Paths::root_or_slash(std::env::var_os(ROOT_VARIABLE));
        let paths = Paths::new(root, &environment.charm_dir, &environment.unit.member_name());
        let service = Service::new(paths.service());
        let limits = Limits::default();
        Ok(Self { environment, tools: Tools::new(), paths, service, limits })
    }
}

/// Runs `hook` to its end; for the programs in `src/bin`.
pub fn run(hook: Hook) -> ExitCode {
    let done = Unit::from_process().and_then(|mut unit| {
        // The program is the hook, whatever calls it.
        unit.environment.hook = hook.clone();
        reconcile(&unit)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{hook}: {error}");
            // Both: the log has a level, and standard error is there without Juju.
            drop(Tools::new().juju_log(Level::Error, &line));
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

/// Brings the unit to what it should be, whatever the hook.
///
/// # Errors
///
/// Surprises, and a Juju without leader election.
pub fn reconcile(unit: &Unit) -> Result<(), Error> {
    refuse_old_juju(&unit.tools)?;
    let (environment, tools, paths) = (&unit.environment, &unit.tools, &unit.paths);
    if environment.hook == Hook::Remove {
        return remove(unit);
    }
    if environment.hook == Hook::Install {
        tools.status_set(Scope::Unit, Status::Maintenance, "installing")?;
    }
    let notebook = Notebook::new(&paths.notes());
    let notes = notebook.read()?;
    let facts = gather(environment, tools, paths, &unit.service, &notes)?;
    let plan = decide(&facts);
    let mut charm = Charm {
        tools,
        environment,
        facts: &facts,
        notes,
        notebook,
        agent: Agent::new(paths),
        service: unit.service.clone(),
        limits: unit.limits,
    };
    let outcome = charm.apply(&plan)?;
    publish(environment, tools, &facts, &plan, &outcome)
}

/// Without leader election nobody could say who founds the cluster.
fn refuse_old_juju(tools: &Tools) -> Result<(), Error> {
    match tools.is_leader() {
        Err(error) if error.is_not_supported() => Err(Error::NoLeaderElection),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// The unit is gone: what is its own on the machine goes, except for data.
fn remove(unit: &Unit) -> Result<(), Error> {
    let paths = &unit.paths;
    let service = &unit.service;
    if paths.unit_file().exists() {
        service.stop()?;
        service.disable()?;
        files::remove(&paths.unit_file())?;
        service.reload_manager()?;
    }
    for gone in [paths.tmpfiles(), paths.settings(), paths.software(), paths.notes()] {
        files::remove(&gone)?;
    }
    if paths.data().exists() {
        let line = format!("data stay in {}", paths.data().display());
        unit.tools.juju_log(Level::Info, &line)?;
    }
    Ok(())
}
