//! Which keys the load touches.

use anyhow::{Result, ensure};
use bytes::Bytes;
use rand::Rng as _;
use rand::rngs::SmallRng;

/// The order in which keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// One after the other, all clients together, from the first again after the last.
    Sequential,
    /// Evenly spread.
    Random,
}

/// Keys are a prefix and a decimal number with leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// What all keys begin with; may be empty.
    pub prefix: String,
    /// Length of a key, the prefix included.
    pub key_bytes: usize,
    /// Numbers 0 to count - 1 are used.
    pub count: u64,
    /// The order of taking them.
    pub order: Order,
}

impl Keyspace {
    /// Checks that every number fits behind the prefix.
    ///
    /// # Errors
    /// Says how long keys must be.
    pub fn check(&self) -> Result<()> {
        ensure!(self.count > 0, "--key-count must be above 0");
        let needed = self.prefix.len() + self.count.to_string().len();
        ensure!(
            self.key_bytes >= needed,
            "--key-bytes {} is too short for {} keys with prefix {:?}: it takes {needed}",
            self.key_bytes,
            self.count,
            self.prefix
        );
        Ok(())
    }

    /// The key with this number; `count` itself gives the exclusive end of all keys.
    pub fn key(&self, number: u64) -> Bytes {
        let digits = self.key_bytes - self.prefix.len();
        Bytes::from(format!("{}{number:0digits$}", self.prefix))
    }

    /// A number below `count`, evenly spread.
    pub fn random(&self, rng: &mut SmallRng) -> u64 {
        rng.random_range(0..self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyspace(prefix: &str, key_bytes: usize, count: u64) -> Keyspace {
        Keyspace { prefix: prefix.into(), key_bytes, count, order: Order::Random }
    }

    #[test]
    fn keys_sort_as_their_numbers_do() {
        let keys = keyspace("k/", 8, 100_000);
        keys.check().unwrap();
        assert_eq!(&keys.key(7)[..], b"k/000007");
        assert!(keys.key(99_999) < keys.key(100_000));
        assert_eq!(keys.key(100_000).len(), 8);
    }

    #[test]
    fn keys_that_would_not_fit_are_refused() {
        assert!(keyspace("registry/", 12, 100_000).check().is_err());
        assert!(keyspace("", 8, 0).check().is_err());
    }
}
