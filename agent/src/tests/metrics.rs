//! docs/metrics.md against the page a member serves.

use std::collections::BTreeSet;
use std::fmt::Write;

use http::Method;
use prometheus_client::registry::Registry;
use raft::{DurationHistogram, PeerStats};
use store::MemberId;

use super::client::{TestMember, eventually};
use crate::metrics::PeerCollector;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

/// What the rows of the table begin with.
const ROW: &str = "| `";

/// With `QUORATE_DOCS=write` in the environment this writes the table: `cargo xtask docs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_page_says_what_a_member_exports() {
    let member = TestMember::start(&["--metrics=extensive"]).await;
    let page = eventually("the cluster version", async || {
        let (_, _, page) = member.http(Method::GET, "/metrics").await;
        page.contains("etcd_cluster_version{").then_some(page)
    })
    .await;
    member.running.stop().await;
    // A lone member has no peer to show the labels with.
    let exported = table(&(page + &samples_of_a_peer()));
    let document = std::fs::read_to_string(PATH).expect("the document");
    if std::env::var_os("QUORATE_DOCS").is_some_and(|mode| mode == "write") {
        std::fs::write(PATH, with_table(&document, &exported)).expect("written");
        return;
    }
    let documented = rows(&document).fold(String::new(), |text, row| text + row + "\n");
    assert_eq!(documented, exported, "docs/metrics.md is out of date: run cargo xtask docs");
}

fn rows(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter(|line| line.starts_with(ROW))
}

fn with_table(document: &str, table: &str) -> String {
    let (head, _) = document.split_once(ROW).expect("a table with rows");
    let last = rows(document).last().expect("a table with rows");
    let (_, tail) = document.rsplit_once(last).expect("found above");
    format!("{head}{}{tail}", table.trim_end())
}

/// A row for each metric of a page in the text format, in its order.
fn table(page: &str) -> String {
    let mut rows = String::new();
    for (name, kind) in page.lines().filter_map(declared) {
        let help = page
            .lines()
            .find_map(|line| line.strip_prefix("# HELP ")?.strip_prefix(name)?.strip_prefix(' '));
        let help = help.unwrap_or_else(|| panic!("{name} has no help"));
        let labels: BTreeSet<_> = page.lines().flat_map(|line| labels(line, name, kind)).collect();
        let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(rows, "{ROW}{name}` | {labels} | {kind} | {help} |").expect("a String grows");
    }
    rows
}

/// Name and kind.
fn declared(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

/// Names of the labels of a sample, if it is one of this metric.
fn labels<'a>(line: &'a str, name: &str, kind: &str) -> Vec<&'a str> {
    let sample = line.split_once('{').filter(|(found, _)| match found.strip_prefix(name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => kind == "histogram",
        _ => false,
    });
    let Some((_, rest)) = sample else { return Vec::new() };
    let (labels, _) = rest.rsplit_once('}').expect("labels end");
    let names = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0));
    names.filter(|name| *name != "le").collect()
}

fn samples_of_a_peer() -> String {
    let stats = PeerStats {
        peer: MemberId(0xab),
        sent_bytes: 1,
        received_bytes: 2,
        send_failures: 3,
        receive_failures: 4,
        round_trips: DurationHistogram::new(std::time::Duration::from_millis(1), 2).counts(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(PeerCollector(vec![stats])));
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a String grows");
    for sample in [
        "etcd_network_peer_sent_bytes_total{To=\"ab\"} 1",
        "etcd_network_peer_received_bytes_total{From=\"ab\"} 2",
        "etcd_network_peer_sent_failures_total{To=\"ab\"} 3",
        "etcd_network_peer_received_failures_total{From=\"ab\"} 4",
        "etcd_network_peer_round_trip_time_seconds_bucket{le=\"+Inf\",To=\"ab\"} 0",
    ] {
        assert!(page.lines().any(|found| found == sample), "{sample}\nin\n{page}");
    }
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .fold(String::new(), |samples, sample| samples + sample + "\n")
}
