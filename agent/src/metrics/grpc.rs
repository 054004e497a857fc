//! Counters of calls, per method and outcome, with the names of go-grpc-prometheus.
//!
//! A plain table of atomics: a call pays a few relaxed additions, labels exist only in a scrape.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::Histogram;
use tonic::Code;

use crate::server::method::{ALL, Method};

/// gRPC's codes as the label `grpc_code` spells them; the index is the code.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Default buckets of the Prometheus client libraries, seconds.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Default)]
struct PerMethod {
    started: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    handled: [AtomicU64; CODES.len()],
}

/// All calls of this process.
pub struct GrpcMetrics {
    methods: [PerMethod; ALL.len()],
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    /// Only with `--metrics=extensive`: observing costs a lock.
    seconds: Option<Vec<Histogram>>,
}

impl fmt::Debug for GrpcMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrpcMetrics")
    }
}

impl GrpcMetrics {
    /// All zero. `extensive` adds `grpc_server_handling_seconds`.
    pub fn new(extensive: bool) -> Self {
        let histograms = || ALL.iter().map(|_| Histogram::new(SECONDS)).collect();
        Self {
            methods: Default::default(),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            seconds: extensive.then(histograms),
        }
    }

    /// A call begins; the guard counts how it ends.
    pub fn start(&self, method: Method) -> Ongoing<'_> {
        self.methods[method as usize].started.fetch_add(1, Relaxed);
        Ongoing { metrics: self, method, started: Instant::now(), code: Code::Cancelled }
    }

    /// A call that outlives its request begins: a stream. It is ended with [`Self::end`].
    pub fn begin(&self, method: Method) {
        self.methods[method as usize].started.fetch_add(1, Relaxed);
    }

    /// A call ended.
    pub fn end(&self, method: Method, code: Code) {
        self.methods[method as usize].handled[code as usize].fetch_add(1, Relaxed);
    }

    /// Messages came in, `bytes` long together.
    pub fn received(&self, method: Method, messages: u64, bytes: usize) {
        self.methods[method as usize].received.fetch_add(messages, Relaxed);
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Messages went out, `bytes` long together.
    pub fn sent(&self, method: Method, messages: u64, bytes: usize) {
        self.methods[method as usize].sent.fetch_add(messages, Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn encode_family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&PerMethod) -> &AtomicU64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (method, counters) in ALL.iter().zip(&self.methods) {
            let count = ConstCounter::new(value(counters).load(Relaxed));
            count.encode(family.encode_family(&labels(*method))?)?;
        }
        Ok(())
    }

    fn encode_handled(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "grpc_server_handled",
            "Calls completed, by method and code",
            None,
            MetricType::Counter,
        )?;
        for (method, counters) in ALL.iter().zip(&self.methods) {
            for (code, count) in CODES.iter().zip(&counters.handled) {
                let [name, service, kind] = labels(*method);
                let labels = [("grpc_code", *code), name, service, kind];
                let count = ConstCounter::new(count.load(Relaxed));
                count.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_bytes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, bytes) in [
            (
                "etcd_network_client_grpc_received_bytes",
                "Bytes of messages received from clients",
                &self.received_bytes,
            ),
            (
                "etcd_network_client_grpc_sent_bytes",
                "Bytes of messages sent to clients",
                &self.sent_bytes,
            ),
        ] {
            let count = ConstCounter::new(bytes.load(Relaxed));
            count.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }

    fn encode_seconds(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(histograms) = &self.seconds else { return Ok(()) };
        let mut family = encoder.encode_descriptor(
            "grpc_server_handling_seconds",
            "Seconds from the request to the end of its answer",
            None,
            MetricType::Histogram,
        )?;
        for (method, histogram) in ALL.iter().zip(histograms) {
            histogram.encode(family.encode_family(&labels(*method))?)?;
        }
        Ok(())
    }
}

impl Collector for GrpcMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_family(&mut encoder, "grpc_server_started", "Calls begun", |m| &m.started)?;
        self.encode_handled(&mut encoder)?;
        self.encode_family(&mut encoder, "grpc_server_msg_received", "Messages received", |m| {
            &m.received
        })?;
        self.encode_family(&mut encoder, "grpc_server_msg_sent", "Messages sent", |m| &m.sent)?;
        self.encode_bytes(&mut encoder)?;
        self.encode_seconds(&mut encoder)
    }
}

/// In alphabetical order, as Go's library writes them: people match whole lines.
fn labels(method: Method) -> [(&'static str, &'static str); 3] {
    [
        ("grpc_method", method.name()),
        ("grpc_service", method.service()),
        ("grpc_type", method.kind().label()),
    ]
}

/// A unary call in progress. Dropped without an end it counts as canceled: the client went away.
#[derive(Debug)]
pub struct Ongoing<'a> {
    metrics: &'a GrpcMetrics,
    method: Method,
    started: Instant,
    code: Code,
}

impl Ongoing<'_> {
    /// The call ended; returns how long it took.
    pub fn finish(mut self, code: Code) -> Duration {
        self.code = code;
        self.started.elapsed()
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        self.metrics.end(self.method, self.code);
        if let Some(histograms) = &self.metrics.seconds {
            histograms[self.method as usize].observe(self.started.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_outcome() {
        let metrics = std::sync::Arc::new(GrpcMetrics::new(true));
        metrics.start(Method::Put).finish(Code::Ok);
        drop(metrics.start(Method::Put));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(metrics));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a String grows");
        let put = r#"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#;
        for line in [
            format!("grpc_server_started_total{{{put}}} 2"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{put}}} 1"),
            format!("grpc_server_handled_total{{grpc_code=\"Canceled\",{put}}} 1"),
            format!("grpc_server_handling_seconds_count{{{put}}} 2"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
    }
}
