//! What the figures depend on: cores, kernel, disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use crate::compare::bars::median;

/// The machine, as far as figures depend on it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// Model name of the processor.
    pub processor: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Median time of fdatasync after appending 4 KiB to a growing file, microseconds.
    pub sync_us: f64,
}

impl Machine {
    /// Looks around, and measures the disk that holds `directory`.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn describe(directory: &Path) -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let processor = model.map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            sync_us: sync_us(directory)?,
        })
    }
}

fn sync_us(directory: &Path) -> Result<f64> {
    const SYNCS: usize = 200;
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut times_us = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let started = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times_us.push(started.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    Ok(median(times_us))
}
