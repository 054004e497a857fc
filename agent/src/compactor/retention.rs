//! `--auto-compaction-mode=revision`: a fixed number of revisions is kept.

/// Time between two looks, milliseconds (etcd-surface 1.8).
pub const CHECK_EVERY_MS: u64 = 5 * 60_000;

/// Up to which revision history may go, if that is further than it has gone.
pub fn target(current: i64, compacted: i64, keep: u64) -> Option<i64> {
    let target = current.checked_sub(i64::try_from(keep).ok()?)?;
    (target > compacted.max(0)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_revisions_are_kept() {
        assert_eq!(target(100, -1, 10), Some(90));
        assert_eq!(target(100, 90, 10), None);
        assert_eq!(target(5, -1, 10), None);
        assert_eq!(target(5, -1, u64::MAX), None);
    }
}
