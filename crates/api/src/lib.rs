//! etcd's wire vocabulary: protobuf messages, gRPC service stubs and the table of error codes and
//! texts that clients match on.
//!
//! Nothing here decides anything; the crate must never depend on another one of the project.
//! Everybody calls it: the store speaks in its messages, the agent serves its services.

mod error;

pub use error::{Error, grpc_code};

/// Records and events of the multi-version store (etcd's package `mvccpb`).
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Requests, responses and services of etcd's v3 API (package `etcdserverpb`).
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// gRPC's health checking protocol (package `grpc.health.v1`).
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The etcd server version this member reports on the wire: clients and Kubernetes gate features
/// on it, so it is plain semver without a suffix (etcd-surface section 11.10).
pub const ETCD_VERSION: &str = "3.7.1";

/// The cluster version that goes with [`ETCD_VERSION`]: minor level, patch 0.
pub const ETCD_CLUSTER_VERSION: &str = "3.7.0";
