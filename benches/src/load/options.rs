//! The command line of `load`.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::load::keys::{Keyspace, Order};
use crate::load::report::Report;
use crate::load::run::Edge;
use crate::load::workload::{Case, Limit, Workload};

/// Put one kind of load on etcd-compatible endpoints and print how it went.
///
/// Without --rate the load is closed: each client sends its next call when the last one was
/// answered, so the server decides the pace. With --rate it is open: calls fall due at that rate
/// whatever the server does, and latency counts from when a call was due; use it to compare p99
/// at the same offered load. Reads need keys: run `load bulk` with the same --key-count first.
#[derive(Debug, Parser)]
#[command(name = "load", version, after_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    case: CaseOption,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "Examples:
  load bulk --key-count 100000                      fill 100,000 keys of 8 B with 256 B values
  load put --connections 10 --clients 100           closed loop, 100 puts in flight
  load put --clients 100 --rate 5000                open loop, p99 at 5,000 puts/s
  load get --serializable --clients 100 --seconds 10
  load list --keys 1000 --clients 20 --endpoints 127.0.0.1:2379,127.0.0.1:22379
  load watch --watchers 100 --clients 1 --rate 200  delivery latency of 20,000 events/s
  load watch --watchers 1000 --streams 10 --clients 10 --connections 10";

#[derive(Clone, Copy, Debug, Subcommand)]
enum CaseOption {
    /// One Put per operation.
    Put,
    /// One transaction with one put per operation.
    Txn,
    /// One key per operation; linearizable unless told otherwise.
    Get {
        /// Let the asked member answer from what it has.
        #[arg(long)]
        serializable: bool,
    },
    /// A list of neighbouring keys per operation; linearizable unless told otherwise.
    List {
        /// Keys per list.
        #[arg(long, default_value_t = 1000)]
        keys: u64,
        /// Let the asked member answer from what it has.
        #[arg(long)]
        serializable: bool,
    },
    /// Like an API server of Kubernetes: 40 % gets, 20 % updates comparing the mod revision, 10 %
    /// each of creations, deletions, lists of 500 keys by limit, and lease renewals.
    Mixed {
        /// Watches on all keys, open during the run.
        #[arg(long, default_value_t = 10)]
        watchers: usize,
    },
    /// One lease and one stream per client, one renewal per operation.
    Keepalive,
    /// Watchers on all keys; an operation is an event delivered, its latency counts from the put.
    /// --clients is who puts, --rate how often in all.
    Watch {
        /// How many watch.
        #[arg(long, default_value_t = 100)]
        watchers: usize,
        /// gRPC streams the watches are spread over; default: one each.
        #[arg(long)]
        streams: Option<usize>,
    },
    /// Fill the keyspace once with transactions of puts; an operation is a key, latencies are
    /// those of transactions. Ignores --seconds and --operations.
    Bulk {
        /// Puts per transaction; etcd allows 128 unless configured otherwise.
        #[arg(long, default_value_t = 100)]
        keys_per_txn: u64,
    },
}

impl From<CaseOption> for Case {
    fn from(option: CaseOption) -> Self {
        match option {
            CaseOption::Put => Self::Put,
            CaseOption::Txn => Self::Txn,
            CaseOption::Get { serializable } => Self::Get { serializable },
            CaseOption::List { keys, serializable } => Self::Range { keys, serializable },
            CaseOption::Mixed { watchers } => Self::Mixed { watchers },
            CaseOption::Keepalive => Self::LeaseKeepalive,
            CaseOption::Watch { watchers, streams } => {
                Self::Watch { watchers, streams: streams.unwrap_or(watchers) }
            }
            CaseOption::Bulk { keys_per_txn } => Self::Bulk { keys_per_txn },
        }
    }
}

#[derive(Args, Debug)]
struct Common {
    /// Client endpoints, host:port; connections take them in turns. No TLS.
    #[arg(long, global = true, value_delimiter = ',', default_value = "127.0.0.1:2379")]
    endpoints: Vec<String>,
    /// HTTP/2 connections in all; default: one per ten clients, at least one per thread.
    #[arg(long, global = true)]
    connections: Option<usize>,
    /// Calls in flight at most.
    #[arg(long, global = true, default_value_t = 1)]
    clients: usize,
    /// Threads of the generator; one is enough unless the server has many more cores.
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    /// Measure this long.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// Measure this many operations instead.
    #[arg(long, global = true, conflicts_with = "seconds")]
    operations: Option<u64>,
    /// Load without counting before that.
    #[arg(long, global = true, default_value_t = 300)]
    warmup_ms: u64,
    /// Operations per second to offer (open loop).
    #[arg(long, global = true)]
    rate: Option<u64>,
    /// How many different keys.
    #[arg(long, global = true, default_value_t = 100_000)]
    key_count: u64,
    /// Length of a key.
    #[arg(long, global = true, default_value_t = 8)]
    key_bytes: usize,
    /// What keys begin with.
    #[arg(long, global = true, default_value = "")]
    key_prefix: String,
    /// Order in which put and txn take the keys.
    #[arg(long, global = true, value_enum, default_value_t = Order::Random)]
    order: Order,
    /// Length of values put.
    #[arg(long, global = true, default_value_t = 256)]
    value_bytes: usize,
    /// Print one line of JSON instead of the table.
    #[arg(long, global = true)]
    json: bool,
}

impl Options {
    /// The workload these options ask for.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn workload(&self) -> Result<Workload> {
        let common = &self.common;
        let case = Case::from(self.case);
        let limit = match (case, common.operations) {
            (Case::Bulk { keys_per_txn }, _) => {
                Limit::Operations(common.key_count.div_ceil(keys_per_txn.max(1)))
            }
            (_, Some(operations)) => Limit::Operations(operations),
            (_, None) => Limit::Duration(Duration::try_from_secs_f64(common.seconds)?),
        };
        let connections = common.connections.unwrap_or(common.clients.div_ceil(10));
        let workload = Workload {
            endpoints: common.endpoints.clone(),
            case,
            connections: connections.max(if common.connections.is_none() {
                common.threads
            } else {
                0
            }),
            clients: common.clients,
            threads: common.threads,
            limit,
            warmup: Duration::from_millis(common.warmup_ms),
            keyspace: Keyspace {
                prefix: common.key_prefix.clone(),
                key_bytes: common.key_bytes,
                count: common.key_count,
                order: common.order,
            },
            value_bytes: common.value_bytes,
            rate: common.rate,
        };
        workload.check()?;
        Ok(workload)
    }

    /// Whether a machine reads the outcome.
    pub fn json(&self) -> bool {
        self.common.json
    }
}

/// Shows on stderr where the run is. The bar is drawn at edges only, to leave the cores alone.
///
/// # Errors
/// Those of `work`.
pub fn with_progress(
    workload: &Workload,
    work: impl FnOnce(&mut dyn FnMut(Edge)) -> Result<Report>,
) -> Result<Report> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    bar.set_style(style.expect("the template is a constant"));
    bar.set_message(format!("setting up {} clients", workload.clients));
    bar.tick();
    let report = work(&mut |edge| {
        bar.set_message(match edge {
            Edge::Start => format!("measuring: {:?}", workload.limit),
            Edge::End => "collecting".to_owned(),
        });
        bar.tick();
    });
    bar.finish_and_clear();
    report
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Workload> {
        Options::try_parse_from(std::iter::once("load").chain(line.split(' ')))?.workload()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn common_options_may_follow_the_case() {
        let workload = parse("get --serializable --clients 100 --operations 7 --endpoints a:1,b:2");
        let workload = workload.unwrap();
        assert_eq!(workload.case, Case::Get { serializable: true });
        assert_eq!((workload.clients, workload.connections), (100, 10));
        assert_eq!(workload.limit, Limit::Operations(7));
        assert_eq!(workload.endpoints, ["a:1", "b:2"]);
    }

    #[test]
    fn bulk_counts_transactions() {
        let workload = parse("bulk --key-count 1001 --keys-per-txn 100").unwrap();
        assert_eq!(workload.limit, Limit::Operations(11));
    }

    #[test]
    fn senseless_numbers_are_refused() {
        assert!(parse("put --clients 0").is_err());
        assert!(parse("put --threads 4 --connections 2").is_err());
        assert!(parse("put --key-count 1000000000").is_err());
        assert!(parse("list --keys 10 --key-count 5").is_err());
        assert!(parse("watch --value-bytes 4").is_err());
        assert!(parse("watch --watchers 10 --streams 11").is_err());
        assert!(parse("put --seconds 1 --operations 1").is_err());
        assert!(parse("put --seconds -1").is_err());
    }
}
