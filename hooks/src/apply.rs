//! Carries a plan out. Each step looks before it acts, so that a hook can be killed anywhere and run
//! again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use juju::{Environment, Hook, Level, Scope, Status, Tools};
use release::{ReleaseId, Releases};

use crate::agent::{Agent, AgentError, AgentStatus, State};
use crate::clock::wait_for;
use crate::command::{self, CommandError};
use crate::decide::{self, Course, Plan, Run, Step};
use crate::error::Error;
use crate::facts::{self, Facts};
use crate::files::{self, FileError};
use crate::limits::Limits;
use crate::notes::{Generation, Leaving, Notebook, Notes, RefusedGeneration};
use crate::options;
use crate::report::Outcome;
use crate::restart::{self, Turn};
use crate::service::Service;
use crate::settings::{self, Settings};
use crate::software::{self, Choice};

/// How long `quorate check` may take.
const CHECK_MAX: Duration = Duration::from_secs(20);

/// What the last member says while others are on their way to become members.
const HANDING_OVER: &str = "leaving the cluster: waiting for another unit to have the data";

/// Mode of what the agent's account reads.
const SETTINGS_MODE: u32 = 0o640;

/// Mode of what everybody may read.
const PUBLIC_MODE: u32 = 0o644;

/// One hook at work.
pub struct Charm<'a> {
    /// Juju's tools.
    pub tools: &'a Tools,
    /// What Juju told.
    pub environment: &'a Environment,
    /// What was found.
    pub facts: &'a Facts,
    /// What is remembered; written whenever something relies on it.
    pub notes: Notes,
    /// Where it is written.
    pub notebook: Notebook,
    /// The agent of this unit.
    pub agent: Agent,
    /// Its service.
    pub service: Service,
    /// How long to wait for what.
    pub limits: Limits,
}

impl Charm<'_> {
    /// Does what the plan says about this unit's member.
    ///
    /// # Errors
    ///
    /// Surprises only.
    pub fn apply(&mut self, plan: &Plan) -> Result<Outcome, Error> {
        let outcome = match &plan.course {
            Course::Leave(why) => self.leave(*why),
            Course::StayAway(why) => self.stay_away(*why),
            Course::Wait(_) | Course::Blocked(_) => self.stay(),
            Course::Run(run) => self.run(run),
        }?;
        self.notes.gone_since_s.clone_from(&plan.ghosts.since_s);
        if let Some(ghost) = &plan.ghosts.remove {
            self.remove_ghost(ghost);
        }
        self.notebook.write(&self.notes)?;
        Ok(outcome)
    }

    /// Nothing about the member may change; the release for it is brought here all the same.
    fn stay(&mut self) -> Result<Outcome, Error> {
        self.notes.leaving = None;
        let mut outcome = self.as_found();
        let choice = software::provide(self.facts, &mut self.notes, &self.environment.proxies)?;
        if let Choice::Problem(line) = choice {
            outcome.problem = Some(line);
        }
        // What a bad option keeps from changing still has to run.
        if self.facts.service != facts::Service::Up && self.notes.running.is_some() {
            self.service.start()?;
            outcome.service = Some(facts::Service::Up);
        }
        Ok(outcome)
    }

    fn as_found(&self) -> Outcome {
        Outcome { agent: self.facts.agent.clone(), ..Outcome::default() }
    }

    fn run(&mut self, run: &Run) -> Result<Outcome, Error> {
        self.notes.leaving = None;
        self.notes.seeds.clone_from(&run.settings.seeds);
        if restart::is_ready(self.facts.agent.as_ref()) {
            self.notes.is_proven = true;
        }
        let (release, problem) = match self.provide()? {
            Choice::Release(id) => (id, None),
            Choice::Problem(line) => {
                (software::fall_back(self.facts, &mut self.notes)?, Some(line))
            }
        };
        let problem = run.problem.clone().or(problem);
        let wanted = self.generation(&run.settings, release);
        let outcome = match self.refusal(&run.settings, &wanted)? {
            None => {
                self.notes.refused = None;
                self.run_with(run, &wanted)?
            }
            Some(line) => {
                let outcome = self.run_with_last_good(run)?;
                Outcome { problem: outcome.problem.or(Some(line)), ..outcome }
            }
        };
        Ok(Outcome { problem: outcome.problem.or(problem), ..outcome })
    }

    /// Why `wanted` is not even tried, if so.
    fn refusal(
        &mut self,
        settings: &Settings,
        wanted: &Generation,
    ) -> Result<Option<String>, Error> {
        if let Some(refused) = &self.notes.refused
            && refused.generation == *wanted
        {
            return Ok(Some(refused.message.clone()));
        }
        match self.notes.running.as_ref() == Some(wanted) {
            true => Ok(None),
            false => self.check(settings, &wanted.release),
        }
    }

    /// The last good options, the last good release, and everything else as it is now: seeds, role
    /// and addresses are not a person's to get wrong.
    fn run_with_last_good(&mut self, run: &Run) -> Result<Outcome, Error> {
        let (Some(last), Some(options)) = (self.notes.running.clone(), &self.notes.options) else {
            return Ok(self.as_found());
        };
        let Some(settings) = run.settings.with_options(self.facts, options) else {
            return Ok(self.as_found());
        };
        let run = Run { settings, ..run.clone() };
        let wanted = self.generation(&run.settings, last.release);
        self.run_with(&run, &wanted)
    }

    fn run_with(&mut self, run: &Run, wanted: &Generation) -> Result<Outcome, Error> {
        self.notes.data_dir = Some(run.settings.data_dir.clone());
        self.notebook.write(&self.notes)?;
        let is_bootstrap_new = self.write_bootstrap(&run.settings)?;
        let mut outcome = self.as_found();
        outcome.settings = Some(run.settings.clone());
        self.bring_up(run, wanted, is_bootstrap_new, outcome)
    }

    fn provide(&mut self) -> Result<Choice, Error> {
        if Releases::new(self.facts.paths.software()).current()?.is_none() {
            self.tools.status_set(Scope::Unit, Status::Maintenance, "installing")?;
        }
        let choice = software::provide(self.facts, &mut self.notes, &self.environment.proxies)?;
        self.notebook.write(&self.notes)?;
        Ok(choice)
    }

    fn generation(&self, settings: &Settings, release: String) -> Generation {
        Generation {
            release,
            member_env: settings.member_env(),
            unit_file: settings.unit_file(&self.facts.paths),
        }
    }

    /// Asks the agent that is to run whether it could run with these settings; its line if not.
    fn check(&self, settings: &Settings, release: &str) -> Result<Option<String>, Error> {
        let releases = Releases::new(self.facts.paths.software());
        let Some(release) = releases.get(&ReleaseId::new(release)?)? else { return Ok(None) };
        let mut command = Command::new(release.executable());
        command.arg("check").args(&settings.options.extra_args).env_clear();
        command.envs(&settings.member).envs(&settings.bootstrap);
        match command::run(command, CHECK_MAX) {
            Ok(finished) if finished.is_success() => Ok(None),
            Ok(finished) => {
                let reason = finished.reason();
                let reason = reason.trim_start_matches("quorate: ");
                Ok(Some(match self.is_only_the_release_new(settings, &release.id) {
                    true => format!(
                        "release {} cannot run here: {reason}; give another bin-source and \
                         source-sum",
                        release.id
                    ),
                    false => options::refusal(reason, &settings.options),
                }))
            }
            // A release that cannot even say so is not the machine's fault.
            Err(error) => Ok(Some(format!("release {} does not work: {error}", release.id))),
        }
    }

    /// True when the options are those that another release gets on with.
    fn is_only_the_release_new(&self, settings: &Settings, release: &ReleaseId) -> bool {
        let last = self.notes.running.as_ref();
        last.is_some_and(|last| last.release != release.as_str())
            && self.notes.options.as_ref() == Some(&settings.options)
    }

    /// What a member without data reads. Tells whether that changed.
    fn write_bootstrap(&self, settings: &Settings) -> Result<bool, FileError> {
        let paths = &self.facts.paths;
        let is_new =
            files::write(&paths.bootstrap_env(), &settings.bootstrap_env(), SETTINGS_MODE)?;
        files::write(&paths.seeds(), &settings.seeds_file(), PUBLIC_MODE)?;
        Ok(is_new)
    }

    /// Brings the files and the link to a generation. Tells whether anything changed.
    fn write_generation(&self, generation: &Generation) -> Result<bool, Error> {
        let paths = &self.facts.paths;
        let releases = Releases::new(paths.software());
        let is_unit_new = files::write(&paths.unit_file(), &generation.unit_file, PUBLIC_MODE)?;
        let is_env_new = files::write(&paths.member_env(), &generation.member_env, SETTINGS_MODE)?;
        let switched = releases.switch(&ReleaseId::new(generation.release.as_str())?)?;
        if is_unit_new {
            self.service.reload_manager()?;
        }
        Ok(is_unit_new || is_env_new || switched.is_change())
    }

    /// The account and the folders. Cheap, and after a crash nobody knows how far it got: done
    /// before every start.
    fn prepare_machine(&self, settings: &Settings) -> Result<(), Error> {
        let paths = &self.facts.paths;
        files::write(&paths.sysusers(), settings::sysusers(), PUBLIC_MODE)?;
        files::write(&paths.tmpfiles(), &settings.tmpfiles(paths), PUBLIC_MODE)?;
        self.service.make_accounts(&paths.sysusers())?;
        self.service.make_folders(&paths.tmpfiles())?;
        Ok(())
    }

    fn bring_up(
        &mut self,
        run: &Run,
        wanted: &Generation,
        is_bootstrap_new: bool,
        mut outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let step = match decide::step(self.facts, wanted, is_bootstrap_new) {
            Step::Nothing if !run.is_to_rejoin => return Ok(outcome),
            Step::Nothing => Step::Restart,
            step => step,
        };
        let turn = match step {
            Step::RestartInTurn => restart::take_turn(&self.agent, &self.limits)?,
            _ => Turn::NotNeeded,
        };
        match turn {
            Turn::Held | Turn::NotNeeded => {}
            Turn::Taken => {
                outcome.pending = Some("waiting for its turn to restart".to_owned());
                return Ok(outcome);
            }
            Turn::Alarm => {
                let line = "cannot restart with the new configuration while an alarm is on: \
                            delete keys and run action compact, or see action alarm-list";
                outcome.problem = Some(line.to_owned());
                return Ok(outcome);
            }
        }
        let result = self.change_over(run, wanted, step, outcome);
        if turn == Turn::Held {
            restart::release_turn(&self.agent);
        }
        result
    }

    fn change_over(
        &mut self,
        run: &Run,
        wanted: &Generation,
        step: Step,
        mut outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let doing = if step == Step::Start { "starting" } else { "restarting" };
        self.tools.status_set(Scope::Unit, Status::Maintenance, doing)?;
        self.log(Level::Info, &format!("{doing} release {}", wanted.release));
        if step != Step::Start {
            self.service.stop()?;
        }
        if run.is_to_rejoin {
            put_aside(&run.settings.data_dir, self.facts.now_s, self.facts.agent.as_ref())?;
        }
        self.write_generation(wanted)?;
        self.prepare_machine(&run.settings)?;
        self.service.start()?;
        outcome.service = Some(facts::Service::Up);
        outcome.agent = self.wait_ready(self.patience(run))?;
        if has_left(outcome.agent.as_ref()) && !run.is_to_rejoin {
            // Storage that came back: its member left, this unit is here to stay.
            self.service.stop()?;
            put_aside(&run.settings.data_dir, self.facts.now_s, outcome.agent.as_ref())?;
            self.service.start()?;
            outcome.agent = self.wait_ready(self.patience(run))?;
        }
        let is_ready = restart::is_ready(outcome.agent.as_ref());
        if is_ready || !decide::can_roll_back(self.facts, wanted) {
            self.notes.is_proven =
                is_ready || (self.notes.is_proven && self.notes.running.as_ref() == Some(wanted));
            self.notes.running = Some(wanted.clone());
            self.notes.options = Some(run.settings.options.clone());
            self.notebook.write(&self.notes)?;
            Releases::new(self.facts.paths.software()).keep(software::KEPT)?;
            return Ok(outcome);
        }
        self.roll_back(run, wanted, outcome)
    }

    /// How long to look at a member that was started. One that has nobody to join yet is not worth
    /// a hook's time.
    fn patience(&self, run: &Run) -> Duration {
        let is_founder = run.settings.bootstrap.contains_key("ETCD_INITIAL_CLUSTER");
        let had_place = self.facts.agent.as_ref().is_some_and(|agent| agent.cluster_id.is_some());
        let is_member = |bag: &BTreeMap<String, String>| {
            bag.get("state").is_some_and(|state| state == State::Member.as_str())
        };
        // Addresses that somebody left behind are worth asking and not worth waiting for.
        let is_anybody_there =
            self.facts.peer.as_ref().is_some_and(|peer| peer.units.values().any(is_member));
        match () {
            () if is_founder || had_place => self.limits.ready_max,
            () if is_anybody_there => self.limits.join_max,
            () => Duration::ZERO,
        }
    }

    fn roll_back(
        &mut self,
        run: &Run,
        wanted: &Generation,
        mut outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let Some(last) = self.notes.running.clone() else { return Ok(outcome) };
        let message = match last.release == wanted.release {
            true => {
                "the member did not become ready with this configuration, the last one is back: \
                     change the options that were changed"
                    .to_owned()
            }
            false => format!(
                "release {} did not become ready; rolled back to {}: give another bin-source and \
                 source-sum",
                wanted.release, last.release
            ),
        };
        self.log(Level::Error, &message);
        self.notes.refused =
            Some(RefusedGeneration { generation: wanted.clone(), message: message.clone() });
        self.notebook.write(&self.notes)?;
        self.service.stop()?;
        self.write_generation(&last)?;
        self.service.start()?;
        outcome.agent = self.wait_ready(self.limits.ready_max)?;
        outcome.problem = Some(message);
        let last_good = self.notes.options.as_ref();
        outcome.settings =
            last_good.and_then(|options| run.settings.with_options(self.facts, options));
        Ok(outcome)
    }

    fn wait_ready(&self, time_max: Duration) -> Result<Option<AgentStatus>, Error> {
        Ok(restart::wait_ready(&self.agent, &self.service, time_max, self.limits.poll)?)
    }

    /// Gives up this member's place. Never keeps a unit from going: what cannot be done is left to
    /// the Juju leader.
    fn leave(&mut self, why: Leaving) -> Result<Outcome, Error> {
        self.tools.status_set(Scope::Unit, Status::Maintenance, "leaving the cluster")?;
        // The only one with the data goes last: others that are still joining get them first. They
        // do that while hooks of this unit come and go, so only its last hook waits for them.
        let others_stay = self.facts.others_stay();
        if others_stay && !self.is_last_chance() && self.is_last_voter() {
            self.log(Level::Info, HANDING_OVER);
            let pending = Some(HANDING_OVER.to_owned());
            return Ok(Outcome { pending, ..self.as_found() });
        }
        let gone = wait_for(self.limits.leave_max, self.limits.poll, || match self.agent.leave() {
            Ok(()) => Some("left the cluster".to_owned()),
            Err(AgentError::NotAnswering(line)) => {
                Some(format!("the agent does not answer, the member stays behind: {line}"))
            }
            Err(error) if error.code() == "last-voter" && !others_stay => {
                Some("the last member keeps its data".to_owned())
            }
            Err(AgentError::Command(CommandError::NotRun { program, source })) => {
                Some(format!("cannot run {program}, the member stays behind: {source}"))
            }
            Err(error) => {
                self.log(Level::Warning, &format!("leaving: {error}"));
                None
            }
        });
        let line = gone.unwrap_or_else(|| "gave up leaving, the member stays behind".to_owned());
        self.log(Level::Info, &line);
        self.stay_away(why)
    }

    /// True when a hook that comes later could not make up for what is not done in this one.
    fn is_last_chance(&self) -> bool {
        !matches!(self.facts.hook, Hook::Relation { .. })
    }

    /// Tries to leave, and tells whether that fails because nobody else has a vote.
    fn is_last_voter(&self) -> bool {
        matches!(self.agent.leave(), Err(error) if error.code() == "last-voter")
    }

    fn stay_away(&mut self, why: Leaving) -> Result<Outcome, Error> {
        if self.facts.paths.unit_file().exists() {
            self.service.stop()?;
            self.service.disable()?;
        }
        self.notes.leaving = Some(why);
        Ok(Outcome { service: Some(facts::Service::Down), ..Outcome::default() })
    }

    /// One that cannot be removed now is looked at again in the next hook.
    fn remove_ghost(&self, name: &str) {
        match self.agent.remove(name) {
            Ok(()) => self.log(Level::Info, &format!("removed member {name}: its unit is gone")),
            Err(error) => {
                self.log(Level::Warning, &format!("cannot remove member {name}: {error}"))
            }
        }
    }

    /// Juju's log; one that cannot be written must not stop the work.
    fn log(&self, level: Level, line: &str) {
        drop(self.tools.juju_log(level, line));
    }
}

fn has_left(agent: Option<&AgentStatus>) -> bool {
    agent.is_some_and(|agent| agent.state == State::Left)
}

/// Puts aside what a member that left has in its directory. Nothing is deleted.
fn put_aside(data_dir: &Path, now_s: u64, agent: Option<&AgentStatus>) -> Result<(), FileError> {
    let member = data_dir.join("member");
    if !member.exists() {
        return Ok(());
    }
    let id = agent.and_then(|agent| agent.member_id.as_deref()).unwrap_or("0000000000000000");
    let archive = data_dir.join(format!("member.old-{now_s}-{id}"));
    fs::rename(&member, &archive).map_err(FileError::of("put aside", &member))
}
