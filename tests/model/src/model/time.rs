//! The course of time: which hook runs next, and until when.

use std::time::{Duration, Instant};

use super::{Model, NO_MACHINE};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::server::lock;
use crate::state::Life;
use crate::uniter::{Call, tidy};
use crate::{server, uniter};

/// Hooks [`Model::drain`] runs before it says that the model does not come to rest.
const DRAIN_HOOKS_MAX: u32 = 5_000;
/// Pause between two looks at a condition when no hook is due.
const IDLE: Duration = Duration::from_millis(50);
/// Pause between two rounds of update-status while a condition is waited for.
const UPDATE_STATUS_EVERY: Duration = Duration::from_millis(1_000);

impl Model {
    /// The interval of update-status is over: every started unit runs it once it is idle.
    pub fn update_status(&self) {
        for unit in lock(&self.state)
            .units
            .values_mut()
            .filter(|unit| unit.is_started && unit.life == Life::Alive)
        {
            unit.must_update_status = true;
        }
    }

    /// Ends every process of the model; hooks can no longer be run. Dropping does the same.
    pub fn close(&self) {
        server::close(&self.runner.dir.join("agent.sock"), &self.state);
    }

    /// Runs one hook (parallel: begins one on each machine that is free and has one due, and waits
    /// until one ends; a hook that waits for another unit's holds nobody up). False when none is
    /// due and none runs.
    pub fn step(&self) -> bool {
        let _turn = self.turn();
        let chosen = self.choose();
        if self.options.is_parallel {
            return self.begin(chosen);
        }
        for (unit, call) in &chosen {
            self.runner.run(&self.state, unit, call, None);
        }
        !chosen.is_empty()
    }

    pub(super) fn begin(&self, chosen: Vec<(String, Call)>) -> bool {
        let has_begun = !chosen.is_empty();
        let mut machines = self.busy.machines();
        for (unit, call) in chosen {
            let machine = lock(&self.state).units.get(&unit).map_or(NO_MACHINE, |one| one.machine);
            let running = self.busy.begin(machine);
            machines.insert(machine);
            let (state, runner) = (self.state.clone(), self.runner.clone());
            std::thread::spawn(move || {
                runner.run(&state, &unit, &call, None);
                drop(running);
            });
        }
        // Not for long: what the caller waits for may come about while a hook runs.
        self.busy.wait(&machines, IDLE) || has_begun
    }

    pub(super) fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn choose(&self) -> Vec<(String, Call)> {
        let mut state = lock(&self.state);
        tidy(&mut state);
        let mut random = std::mem::replace(&mut state.random, Random::new(0));
        let mut due: Vec<(String, Call)> = Vec::new();
        for (name, unit) in &state.units {
            let is_up = state.machines.get(&unit.machine).is_some_and(|machine| machine.is_up);
            let is_waiting =
                unit.error.as_ref().is_some_and(|failure| failure.tries > self.options.retries_max);
            if is_up
                && !is_waiting
                && let Some(call) = uniter::next(&state, &mut random, name)
            {
                due.push((name.clone(), call));
            }
        }
        let mut chosen = Vec::new();
        let mut machines = self.busy.machines();
        while let Some((unit, call)) = random.pick(&due).cloned() {
            due.retain(|(other, _)| *other != unit);
            if machines.insert(state.units[&unit].machine) {
                chosen.push((unit, call));
            }
            if !self.options.is_parallel {
                break;
            }
        }
        state.random = random;
        chosen
    }

    /// Runs hooks until none is due. Errors when that does not end.
    pub fn drain(&self) -> Result<()> {
        for _ in 0..DRAIN_HOOKS_MAX {
            if !self.step() {
                return Ok(());
            }
        }
        Err(Error::new(format!(
            "the model does not come to rest: {DRAIN_HOOKS_MAX} hooks were run\n{}",
            self.journal_text(40)
        )))
    }

    /// Runs hooks until none is due and the condition holds, with update-status in between.
    /// Errors after `limit`, with status and journal, and what the condition was waiting for.
    pub fn settle(
        &self,
        limit: Duration,
        what: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let until = Instant::now() + limit;
        let mut next_update = Instant::now() + UPDATE_STATUS_EVERY;
        loop {
            let is_idle = !self.step();
            if is_idle && holds(self) {
                return Ok(());
            }
            let now = Instant::now();
            if now > until {
                let seed = self.options.seed;
                let text = format!(
                    "seed {seed}: not within {} s: {what}\n{}\n{}",
                    limit.as_secs(),
                    self.status().to_text(),
                    self.journal_text(60)
                );
                return Err(Error::new(text));
            }
            if is_idle && now >= next_update {
                self.update_status();
                next_update = now + UPDATE_STATUS_EVERY;
            } else if is_idle {
                std::thread::sleep(IDLE);
            }
        }
    }
}
