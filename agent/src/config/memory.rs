//! How much memory this process may use: the machine's, or less when a control group says so.

use std::path::{Path, PathBuf};

use super::ReadFile;

/// Used when neither the machine nor a group tells, as on systems without /proc.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// A path of control groups has few levels; more than this is not walked.
const LEVELS_MAX: usize = 32;

/// Bytes this process may use.
pub(super) fn available_bytes(read_file: ReadFile<'_>) -> u64 {
    let machine = read_file(Path::new("/proc/meminfo")).ok().and_then(|text| total(&text));
    let limits = groups(read_file).into_iter().filter_map(|path| limit(read_file, &path));
    limits.chain(machine).min().unwrap_or(UNKNOWN_BYTES)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that hold limits: this process's group and those around it, version 2, then the one
/// place of version 1.
fn groups(read_file: ReadFile<'_>) -> Vec<PathBuf> {
    let own = read_file(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let version_2 = Path::new(own)
        .ancestors()
        .take(LEVELS_MAX)
        .map(|group| Path::new("/sys/fs/cgroup").join(group).join("memory.max"));
    let version_1 = PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    version_2.chain([version_1]).collect()
}

/// `max` is no number and means no limit; version 1 writes a huge number for that.
fn limit(read_file: ReadFile<'_>, path: &Path) -> Option<u64> {
    read_file(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn machine(files: &'static [(&str, &str)]) -> impl Fn(&Path) -> io::Result<String> {
        move |path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn a_machine_without_groups_has_its_memory() {
        let files = machine(&[("/proc/meminfo", "MemTotal:       16000 kB\nMemFree: 1 kB\n")]);
        assert_eq!(available_bytes(&files), 16_000 * 1024);
    }

    #[test]
    fn the_tightest_group_around_the_process_counts() {
        let files = machine(&[
            ("/proc/meminfo", "MemTotal:       16000 kB\n"),
            ("/proc/self/cgroup", "0::/system.slice/quorate.service\n"),
            ("/sys/fs/cgroup/system.slice/quorate.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/system.slice/memory.max", "4096000\n"),
        ]);
        assert_eq!(available_bytes(&files), 4_096_000);
    }

    #[test]
    fn an_unlimited_group_of_version_1_does_not_count() {
        let files = machine(&[
            ("/proc/meminfo", "MemTotal:       16000 kB\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(available_bytes(&files), 16_000 * 1024);
    }

    #[test]
    fn an_unknown_system_is_taken_for_a_small_one() {
        assert_eq!(available_bytes(&machine(&[])), UNKNOWN_BYTES);
    }
}
