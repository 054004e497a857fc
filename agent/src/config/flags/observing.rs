//! What the member lets others see of it: metrics, log lines, traces.

use super::Group::{Logging, Monitoring, Tracing};
use super::Status::{Ignored, Later, Works};
use super::{COUNT, Flag, Kind};

const ROTATION: super::Status = Later("log rotation is not available in this release yet");
const TRACES: super::Status = Later("distributed tracing is not available in this release yet");

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "enable-pprof",
        kind: Kind::Bool,
        default: "false",
        group: Monitoring,
        status: Later("profiling over HTTP is not available in this release yet"),
        help: "Serve profiles under /debug/pprof/.",
    },
    Flag {
        name: "metrics",
        kind: Kind::Choice(&["basic", "extensive"]),
        default: "basic",
        group: Monitoring,
        status: Works,
        help: "Whether /metrics includes histograms per gRPC method.",
    },
    Flag {
        name: "listen-metrics-urls",
        kind: Kind::Urls,
        default: "",
        group: Monitoring,
        status: Works,
        help: "More addresses that serve /metrics and the health checks, and nothing else.",
    },
    Flag {
        name: "logger",
        kind: Kind::Choice(&["zap"]),
        default: "zap",
        group: Logging,
        status: Works,
        help: "Accepted for compatibility: log lines have the layout of etcd's zap logger.",
    },
    Flag {
        name: "log-outputs",
        kind: Kind::List,
        default: "default",
        group: Logging,
        status: Works,
        help: "Where log lines go: stderr, stdout or file paths; default means stderr.",
    },
    Flag {
        name: "log-level",
        kind: Kind::Choice(&["debug", "info", "warn", "error", "dpanic", "panic", "fatal"]),
        default: "info",
        group: Logging,
        status: Works,
        help: "The least important lines to log.",
    },
    Flag {
        name: "log-format",
        kind: Kind::Choice(&["json", "console"]),
        default: "json",
        group: Logging,
        status: Works,
        help: "One JSON object per line, or text for people.",
    },
    Flag {
        name: "enable-log-rotation",
        kind: Kind::Bool,
        default: "false",
        group: Logging,
        status: ROTATION,
        help: "Start a new log file when one is full.",
    },
    Flag {
        name: "log-rotation-config-json",
        kind: Kind::Text,
        default: "{\"maxsize\": 100, \"maxage\": 0, \"maxbackups\": 0, \"localtime\": false, \"compress\": false}",
        group: Logging,
        status: ROTATION,
        help: "When a log file is full and how many to keep.",
    },
    Flag {
        name: "disable-log-sampling",
        kind: Kind::Bool,
        default: "false",
        group: Logging,
        status: Ignored("log lines are never left out to save work"),
        help: "Log every line even when many are alike.",
    },
    Flag {
        name: "warning-unary-request-duration",
        kind: Kind::Duration,
        default: "300ms",
        group: Logging,
        status: Works,
        help: "A request that takes longer is logged as slow.",
    },
    Flag {
        name: "enable-distributed-tracing",
        kind: Kind::Bool,
        default: "false",
        group: Tracing,
        status: TRACES,
        help: "Send traces to a collector.",
    },
    Flag {
        name: "distributed-tracing-address",
        kind: Kind::Text,
        default: "localhost:4317",
        group: Tracing,
        status: TRACES,
        help: "Address of the trace collector.",
    },
    Flag {
        name: "distributed-tracing-service-name",
        kind: Kind::Text,
        default: "etcd",
        group: Tracing,
        status: TRACES,
        help: "Service name in traces.",
    },
    Flag {
        name: "distributed-tracing-instance-id",
        kind: Kind::Text,
        default: "",
        group: Tracing,
        status: TRACES,
        help: "Instance id in traces.",
    },
    Flag {
        name: "distributed-tracing-sampling-rate",
        kind: COUNT,
        default: "0",
        group: Tracing,
        status: TRACES,
        help: "Requests traced out of a million.",
    },
];
