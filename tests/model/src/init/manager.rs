//! All services of a machine, and the verbs of `systemctl`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use super::service::{Phase, Service};
use super::unit_file::UnitFile;
use crate::wire::Answer;

/// Exit codes of systemctl(1).
const NOT_RUNNING: u8 = 3;
const NO_SUCH_UNIT: u8 = 5;

/// Flags that change nothing here.
const IGNORED_FLAGS: &[&str] = &[
    "--quiet",
    "-q",
    "--no-pager",
    "--system",
    "--no-ask-password",
    "--full",
    "-l",
    "--plain",
    "--all",
    "-a",
    "--no-legend",
];

/// What a command needs.
pub(crate) enum Asked {
    /// Nothing more.
    Answer(Answer),
    /// These services have to come to rest.
    Wait(Vec<Job>),
}

/// A start or stop that is waited for.
pub(crate) struct Job {
    name: String,
    starts: bool,
}

/// The init's knowledge.
#[derive(Debug)]
pub(crate) struct Manager {
    root: PathBuf,
    address: String,
    services: BTreeMap<String, Service>,
}

impl Manager {
    pub(crate) fn new(root: PathBuf, address: String) -> Self {
        Self { root, address, services: BTreeMap::new() }
    }

    fn units_dir(&self) -> PathBuf {
        self.root.join("etc/systemd/system")
    }

    fn wants_dir(&self) -> PathBuf {
        self.units_dir().join("multi-user.target.wants")
    }

    /// What `systemctl enable` has linked.
    pub(crate) fn start_enabled(&mut self) {
        let names = std::fs::read_dir(self.wants_dir()).into_iter().flatten().flatten();
        for name in
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        {
            let address = self.address.clone();
            match self.load(&name) {
                Ok(service) => service.start(&address),
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        for service in self.services.values_mut() {
            service.tick(&self.address);
        }
    }

    pub(crate) fn kill_all(&mut self) {
        self.services.values_mut().for_each(Service::kill);
    }

    /// A service by its unit file; the file is read the first time and at daemon-reload.
    fn load(&mut self, name: &str) -> Result<&mut Service, String> {
        if !self.services.contains_key(name) {
            let path = self.units_dir().join(name);
            if !path.exists() {
                return Err(format!("Unit {name} could not be found."));
            }
            let unit = UnitFile::read(&path)
                .map_err(|error| format!("Unit {name} has a bad unit file setting: {error}"))?;
            self.services.insert(name.into(), Service::new(name, &self.root, unit));
        }
        self.services.get_mut(name).ok_or_else(|| format!("Unit {name} could not be found."))
    }

    fn reload_files(&mut self) {
        let dir = self.units_dir();
        for (name, service) in &mut self.services {
            match UnitFile::read(&dir.join(name)) {
                Ok(unit) => service.unit = unit,
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
        self.services
            .retain(|name, service| service.phase != Phase::Inactive || dir.join(name).exists());
    }

    /// One `systemctl` command line.
    pub(crate) fn ask(&mut self, args: &[String]) -> Asked {
        let mut words = Vec::new();
        let (mut now, mut no_block, mut is_value, mut properties) =
            (false, false, false, Vec::new());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--now" => now = true,
                "--no-block" => no_block = true,
                "--value" => is_value = true,
                "-p" | "--property" => properties.extend(args.next().cloned()),
                flag if flag.starts_with("--property=") => {
                    properties.push(flag["--property=".len()..].into())
                }
                flag if flag.starts_with("-p") => properties.push(flag[2..].into()),
                flag if IGNORED_FLAGS.contains(&flag) => {}
                flag if flag.starts_with('-') => {
                    return refuse(
                        1,
                        &format!("systemctl: option {flag} is not known to the stand-in"),
                    );
                }
                word => words.push(word.to_owned()),
            }
        }
        let Some((verb, names)) = words.split_first() else {
            return refuse(1, "systemctl: no verb");
        };
        if verb == "address" {
            self.address = names.first().cloned().unwrap_or_default();
            return good("");
        }
        let names: Vec<String> = names
            .iter()
            .map(|name| if name.contains('.') { name.clone() } else { format!("{name}.service") })
            .collect();
        let asked = match verb.as_str() {
            "ping" => good(""),
            "daemon-reload" => {
                self.reload_files();
                good("")
            }
            "start" | "stop" | "restart" | "try-restart" | "reload-or-restart" => {
                self.change(verb, &names)
            }
            "reload" => self.reload(&names),
            "enable" => self.enable(&names, now),
            "disable" => self.disable(&names, now),
            "is-active" => self.query(
                &names,
                |service| service.map_or("inactive", |service| service.phase.words().0),
                &["active"],
            ),
            "is-failed" => self.query(
                &names,
                |service| service.map_or("inactive", |service| service.phase.words().0),
                &["failed"],
            ),
            "is-enabled" => self.is_enabled(&names),
            "reset-failed" => {
                let all = names.is_empty();
                self.services
                    .values_mut()
                    .filter(|service| all || names.contains(&service.name))
                    .for_each(Service::reset_failed);
                good("")
            }
            "show" => self.show(&names, &properties, is_value),
            "status" => self.status(&names),
            other => refuse(1, &format!("Unknown command verb '{other}'.")),
        };
        match asked {
            Asked::Wait(_) if no_block => good(""),
            asked => asked,
        }
    }

    fn change(&mut self, verb: &str, names: &[String]) -> Asked {
        let address = self.address.clone();
        let mut jobs = Vec::new();
        for name in names {
            let service = match self.load(name) {
                Ok(service) => service,
                Err(error) => {
                    return refuse(NO_SUCH_UNIT, &format!("Failed to {verb} {name}: {error}"));
                }
            };
            match verb {
                "start" => service.start(&address),
                "stop" => service.stop(),
                "try-restart" if service.phase != Phase::Active => continue,
                _ => service.restart(&address),
            }
            jobs.push(Job { name: name.clone(), starts: verb != "stop" });
        }
        Asked::Wait(jobs)
    }

    /// The answer once all jobs have come to rest.
    pub(crate) fn finished(&self, jobs: &[Job]) -> Option<Answer> {
        let mut answer = Answer::default();
        for job in jobs {
            let Some(service) = self.services.get(&job.name) else { continue };
            if service.is_busy() {
                return None;
            }
            if job.starts && service.phase != Phase::Active {
                answer.code = 1;
                let why = &service.result;
                let _ = writeln!(
                    answer.stderr,
                    "Job for {} failed ({why}). See \"systemctl status {}\" and the log below the machine's var/.",
                    job.name, job.name
                );
            }
        }
        Some(answer)
    }

    fn reload(&mut self, names: &[String]) -> Asked {
        let address = self.address.clone();
        for name in names {
            if let Err(error) = self.load(name).and_then(|service| service.reload(&address)) {
                return refuse(1, &format!("Failed to reload {name}: {error}"));
            }
        }
        good("")
    }

    fn enable(&mut self, names: &[String], now: bool) -> Asked {
        let dir = self.wants_dir();
        for name in names {
            if let Err(error) = self.load(name) {
                return refuse(1, &format!("Failed to enable unit: {error}"));
            }
            let linked = std::fs::create_dir_all(&dir).and_then(|()| {
                match std::os::unix::fs::symlink(self.units_dir().join(name), dir.join(name)) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                    other => other,
                }
            });
            if let Err(error) = linked {
                return refuse(1, &format!("Failed to enable unit {name}: {error}"));
            }
        }
        if now { self.change("start", names) } else { good("") }
    }

    fn disable(&mut self, names: &[String], now: bool) -> Asked {
        for name in names {
            let link = self.wants_dir().join(name);
            if !link.is_symlink() && !self.units_dir().join(name).exists() {
                return refuse(
                    1,
                    &format!("Failed to disable unit: Unit file {name} does not exist."),
                );
            }
            let _ = std::fs::remove_file(link);
        }
        if now { self.change("stop", names) } else { good("") }
    }

    fn query(
        &self,
        names: &[String],
        word: impl Fn(Option<&Service>) -> &'static str,
        good: &[&str],
    ) -> Asked {
        let words: Vec<&str> = names.iter().map(|name| word(self.services.get(name))).collect();
        let code = if words.iter().any(|word| good.contains(word)) {
            0
        } else if good == ["failed"] {
            1
        } else {
            NOT_RUNNING
        };
        Asked::Answer(Answer {
            code,
            stdout: words.iter().map(|word| format!("{word}\n")).collect(),
            ..Answer::default()
        })
    }

    fn is_enabled(&self, names: &[String]) -> Asked {
        let mut answer = Answer { code: 1, ..Answer::default() };
        for name in names {
            if self.wants_dir().join(name).is_symlink() {
                answer.code = 0;
                answer.stdout.push_str("enabled\n");
            } else if self.units_dir().join(name).exists() {
                answer.stdout.push_str("disabled\n");
            } else {
                let _ = writeln!(
                    answer.stderr,
                    "Failed to get unit file state for {name}: No such file or directory"
                );
            }
        }
        Asked::Answer(answer)
    }

    fn show(&mut self, names: &[String], properties: &[String], is_value: bool) -> Asked {
        let wanted: Vec<&str> = properties.iter().flat_map(|text| text.split(',')).collect();
        let mut stdout = String::new();
        for name in names {
            let is_enabled = self.wants_dir().join(name).is_symlink();
            let service = self.load(name).ok();
            let (active, sub) =
                service.as_ref().map_or(("inactive", "dead"), |service| service.phase.words());
            let all = [
                ("Id", name.clone()),
                ("LoadState", if service.is_some() { "loaded" } else { "not-found" }.into()),
                ("ActiveState", active.into()),
                ("SubState", sub.into()),
                (
                    "Result",
                    service.as_ref().map_or("success".into(), |service| service.result.clone()),
                ),
                ("MainPID", service.as_ref().map_or(0, |service| service.main_pid()).to_string()),
                ("NRestarts", service.as_ref().map_or(0, |service| service.restarts).to_string()),
                (
                    "StatusText",
                    service.as_ref().map_or(String::new(), |service| service.status_text.clone()),
                ),
                ("UnitFileState", if is_enabled { "enabled" } else { "disabled" }.into()),
                ("NeedDaemonReload", "no".into()),
            ];
            for (key, value) in
                all.iter().filter(|(key, _)| wanted.is_empty() || wanted.contains(key))
            {
                let _ = if is_value {
                    writeln!(stdout, "{value}")
                } else {
                    writeln!(stdout, "{key}={value}")
                };
            }
        }
        good(&stdout)
    }

    fn status(&mut self, names: &[String]) -> Asked {
        let mut answer = Answer::default();
        for name in names {
            match self.load(name) {
                Ok(service) => {
                    let (active, sub) = service.phase.words();
                    let _ = writeln!(
                        answer.stdout,
                        "{name}\n     Active: {active} ({sub})\n   Main PID: {}\n     Status: \"{}\"",
                        service.main_pid(),
                        service.status_text
                    );
                    if service.phase != Phase::Active {
                        answer.code = NOT_RUNNING;
                    }
                }
                Err(error) => {
                    answer.code = 4;
                    let _ = writeln!(answer.stderr, "{error}");
                }
            }
        }
        Asked::Answer(answer)
    }
}

fn good(stdout: &str) -> Asked {
    Asked::Answer(Answer { stdout: stdout.into(), ..Answer::default() })
}

fn refuse(code: u8, why: &str) -> Asked {
    Asked::Answer(Answer { code, stderr: format!("{why}\n"), ..Answer::default() })
}
