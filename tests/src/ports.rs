//! Loopback ports that belong to one test for as long as it lives.
//!
//! A port got by binding port 0 lies in the ephemeral range: once its member is killed, any
//! outgoing connection of the machine may take it before the member is restarted. So ports are
//! drawn below that range, at random, and claimed with an advisory file lock that other test
//! processes respect; the kernel drops the claim when the process dies, whatever way it dies.

use std::fs::{self, File};
use std::net::TcpListener;

use rand::Rng;
use rustix::fs::{FlockOperation, flock};

/// Below Linux' default ephemeral range (32768 and up), above the well-known services.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
/// Draws before giving up.
const DRAWS_MAX: u32 = 1_000;

/// A claimed port.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a port nobody listens on.
    pub fn claim() -> Self {
        let directory = std::env::temp_dir().join("quorate-test-ports");
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        for _ in 0..DRAWS_MAX {
            let number = rand::rng().random_range(RANGE);
            let claim = File::create(directory.join(number.to_string())).expect("a claim file");
            let ours = flock(&claim, FlockOperation::NonBlockingLockExclusive).is_ok();
            if ours && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("no free port in {RANGE:?} after {DRAWS_MAX} draws");
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
