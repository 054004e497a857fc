//! Machines: a root directory, a loopback address and an init each.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::{At, Error, Result};
use crate::init::control;

/// How long a machine's init may take to answer for the first time.
const INIT_WAIT: Duration = Duration::from_secs(20);
/// How long a machine's init may take to end its services before it is killed.
const INIT_STOP_WAIT: Duration = Duration::from_secs(5);
/// Port that is held on a network's last address while a model uses the network.
const HOLD_PORT: u16 = 61_999;
/// Networks tried before giving up.
const NETWORKS_MAX: u32 = 20_000;
/// Machines, and new addresses of machines, in one network.
const ADDRESSES_MAX: u32 = 253;

static MODELS: AtomicU32 = AtomicU32::new(0);

/// A network of 127.0.0.0/8 no other model uses.
#[derive(Debug)]
pub(crate) struct Network {
    base: [u8; 3],
    _hold: TcpListener,
    next: u32,
}

impl Network {
    /// Finds a free network and holds it until dropped.
    pub(crate) fn claim() -> Result<Self> {
        let first = std::process::id()
            .wrapping_mul(31)
            .wrapping_add(MODELS.fetch_add(1, Ordering::Relaxed));
        for number in 0..NETWORKS_MAX {
            let number = first.wrapping_add(number) % 60_000;
            let base = [127, byte(16 + number / 250), byte(2 + number % 250)];
            let address = Ipv4Addr::new(base[0], base[1], base[2], 254);
            if let Ok(hold) = TcpListener::bind((address, HOLD_PORT)) {
                return Ok(Self { base, _hold: hold, next: 1 });
            }
        }
        Err(Error::new("no free network in 127.0.0.0/8: end other models first"))
    }

    /// An address nothing has had yet.
    pub(crate) fn address(&mut self) -> Result<Ipv4Addr> {
        if self.next > ADDRESSES_MAX {
            return Err(Error::new(
                "all 253 addresses of the model's network are used up: start a new model",
            ));
        }
        let last = byte(self.next);
        self.next += 1;
        Ok(Ipv4Addr::new(self.base[0], self.base[1], self.base[2], last))
    }
}

fn byte(number: u32) -> u8 {
    u8::try_from(number % 256).expect("a remainder of 256 fits a byte")
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub root: PathBuf,
    pub address: Ipv4Addr,
    pub is_up: bool,
    init: Option<Child>,
    program: PathBuf,
}

impl Machine {
    /// Makes the root directory and starts the init.
    pub(crate) fn start(program: &Path, root: PathBuf, address: Ipv4Addr) -> Result<Self> {
        for dir in [
            "etc/systemd/system",
            "usr/lib/sysusers.d",
            "usr/lib/tmpfiles.d",
            "var/lib",
            "run",
            "opt",
            "tmp",
        ] {
            std::fs::create_dir_all(root.join(dir)).at(root.display())?;
        }
        let mut machine = Self { root, address, is_up: false, init: None, program: program.into() };
        machine.power_on()?;
        Ok(machine)
    }

    /// Starts the init; it starts the enabled services. Waits until it answers.
    pub(crate) fn power_on(&mut self) -> Result<()> {
        if self.is_up {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(self.root.join("run"));
        std::fs::create_dir_all(self.root.join("run")).at(self.root.display())?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.root.join("console"))
            .at("console")?;
        let child = Command::new(&self.program)
            .arg(&self.root)
            .arg(self.address.to_string())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().at("console")?)
            .stderr(log)
            .spawn()
            .at(self.program.display())?;
        (self.init, self.is_up) = (Some(child), true);
        let until = Instant::now() + INIT_WAIT;
        while control::ask(&self.root, &["ping".into()]).is_err() {
            if Instant::now() > until {
                return Err(Error::new(format!(
                    "{}: the machine's init does not answer; see its file console",
                    self.root.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the init and, with SIGKILL, all it has started.
    pub(crate) fn power_off(&mut self) {
        self.is_up = false;
        let Some(mut init) = self.init.take() else { return };
        drop(init.stdin.take());
        let until = Instant::now() + INIT_STOP_WAIT;
        while matches!(init.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = init.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
    }
}
