//! The cases of the table, with the load each one makes and the bars it must meet.

use std::time::Duration;

use crate::compare::bars::Bar;
use crate::compare::options::Options;
use crate::load::{Case, Keyspace, Limit, Order, Workload};

/// Keys and values of all cases.
pub const KEY_BYTES: usize = 8;
/// See [`KEY_BYTES`].
pub const VALUE_BYTES: usize = 256;

/// Load before the window opens.
const WARMUP: Duration = Duration::from_millis(300);

const CPU_WRITE: Option<Bar> = Some(Bar::new(0.6, 0.4));
const CPU_GET: Option<Bar> = Some(Bar::new(0.6, 0.45));
const CPU_LIST: Option<Bar> = Some(Bar::new(0.5, 0.15));
const CPU_STREAM: Option<Bar> = Some(Bar::new(1.0, 0.5));
const THROUGHPUT: Option<Bar> = Some(Bar::new(1.5, 2.5));
const NO_WORSE: Option<Bar> = Some(Bar::new(1.0, 1.0));
const P99_OFFERED: Option<Bar> = Some(Bar::new(1.0, 0.5));

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// For `--cases`.
    pub name: &'static str,
    /// For the table.
    pub label: &'static str,
    case: Case,
    connections: usize,
    clients: usize,
    rate: Rate,
    /// Server CPU per operation.
    pub cpu: Option<Bar>,
    /// Operations per second.
    pub throughput: Option<Bar>,
    /// Median latency.
    pub p50: Option<Bar>,
    /// Tail latency.
    pub p99: Option<Bar>,
}

#[derive(Clone, Copy, Debug)]
enum Rate {
    Closed,
    Fixed(u64),
    Offered,
}

const BASE: Spec = Spec {
    name: "",
    label: "",
    case: Case::Put,
    connections: 10,
    clients: 100,
    rate: Rate::Closed,
    cpu: CPU_WRITE,
    throughput: None,
    p50: None,
    p99: None,
};

const GET: Spec = Spec { case: Case::Get { serializable: false }, cpu: CPU_GET, ..BASE };
const ONE: Spec = Spec { connections: 1, clients: 1, p50: NO_WORSE, ..BASE };
const STREAM: Spec = Spec { cpu: CPU_STREAM, ..BASE };

const SPECS: [Spec; 13] = [
    Spec { name: "put-1", label: "put 1 conn 1 client", ..ONE },
    Spec { name: "put-100", label: "put 10 conns 100 clients", throughput: THROUGHPUT, ..BASE },
    Spec {
        name: "put-1000",
        label: "put 100 conns 1000 clients",
        connections: 100,
        clients: 1000,
        throughput: THROUGHPUT,
        ..BASE
    },
    Spec {
        name: "txn-100",
        label: "txn of 1 put, 10 conns 100 clients",
        case: Case::Txn,
        throughput: THROUGHPUT,
        ..BASE
    },
    Spec { name: "get-1", label: "get linearizable 1 client", case: GET.case, cpu: None, ..ONE },
    Spec { name: "get-100", label: "get linearizable 100 clients", throughput: THROUGHPUT, ..GET },
    Spec {
        name: "get-serializable-100",
        label: "get serializable 100 clients",
        case: Case::Get { serializable: true },
        throughput: THROUGHPUT,
        ..GET
    },
    Spec {
        name: "list-1000",
        label: "range of 1000 keys, linearizable, 20 clients",
        case: Case::Range { keys: 1000, serializable: false },
        clients: 20,
        cpu: CPU_LIST,
        ..BASE
    },
    Spec {
        name: "mixed-100",
        label: "mixed (k8s-like) 100 clients",
        case: Case::Mixed { watchers: 10 },
        throughput: THROUGHPUT,
        ..BASE
    },
    Spec {
        name: "keepalive-100",
        label: "lease keepalive 100 clients",
        case: Case::LeaseKeepalive,
        ..STREAM
    },
    Spec {
        name: "watch-latency",
        label: "watch latency, 100 watchers, 200 puts/s",
        case: Case::Watch { watchers: 100, streams: 100 },
        clients: 10,
        rate: Rate::Fixed(200),
        p99: NO_WORSE,
        ..STREAM
    },
    Spec {
        name: "watch-fanout",
        label: "watch fan-out, 1000 watchers, events",
        case: Case::Watch { watchers: 1000, streams: 10 },
        clients: 10,
        ..STREAM
    },
    Spec {
        name: "put-offered",
        label: "put at the offered load, 100 clients",
        rate: Rate::Offered,
        p99: P99_OFFERED,
        ..BASE
    },
];

/// Measurements that are no rounds of load.
const OTHERS: [&str; 3] = ["footprint", "million", "failover"];

/// What `--cases` may name.
pub fn names() -> impl Iterator<Item = &'static str> {
    SPECS.iter().map(|spec| spec.name).chain(OTHERS)
}

/// The cases of load that were asked for.
pub fn selected(options: &Options) -> impl Iterator<Item = &'static Spec> {
    const ALL: &[Spec] = &SPECS;
    ALL.iter().filter(|spec| options.wants(spec.name))
}

impl Spec {
    /// The load against these endpoints.
    pub fn workload(&self, options: &Options, endpoints: Vec<String>) -> Workload {
        Workload {
            case: self.case,
            connections: self.connections,
            clients: self.clients,
            limit: Limit::Duration(options.window()),
            rate: match self.rate {
                Rate::Closed => None,
                Rate::Fixed(rate) => Some(rate),
                Rate::Offered => Some(options.offered),
            },
            ..base(endpoints, options.keys)
        }
    }
}

/// Loads `keys` keys in transactions.
pub fn bulk(endpoints: Vec<String>, keys: u64) -> Workload {
    const KEYS_PER_TXN: u64 = 100;
    Workload {
        case: Case::Bulk { keys_per_txn: KEYS_PER_TXN },
        limit: Limit::Operations(keys.div_ceil(KEYS_PER_TXN)),
        clients: 10,
        ..base(endpoints, keys)
    }
}

/// Puts `keys` keys one by one, 100 at a time in flight.
pub fn puts(endpoints: Vec<String>, keys: u64) -> Workload {
    let mut workload = Workload { limit: Limit::Operations(keys), ..base(endpoints, keys) };
    workload.keyspace.order = Order::Sequential;
    workload
}

fn base(endpoints: Vec<String>, keys: u64) -> Workload {
    Workload {
        endpoints,
        case: Case::Put,
        connections: 10,
        clients: 100,
        threads: 1,
        limit: Limit::Operations(keys),
        warmup: WARMUP,
        keyspace: Keyspace {
            prefix: String::new(),
            key_bytes: KEY_BYTES,
            count: keys,
            order: Order::Random,
        },
        value_bytes: VALUE_BYTES,
        rate: None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn every_case_makes_a_valid_load() {
        let options = Options::parse_from(["compare"]);
        for spec in selected(&options) {
            let workload = spec.workload(&options, vec!["127.0.0.1:1".into()]);
            workload.check().unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        }
        bulk(vec!["127.0.0.1:1".into()], 1_000_000).check().unwrap();
        puts(vec!["127.0.0.1:1".into()], 100_000).check().unwrap();
    }

    #[test]
    fn names_are_unique() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), SPECS.len() + OTHERS.len());
    }
}
