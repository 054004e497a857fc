//! `/version`: what clients gate features on.

use api::ETCD_VERSION;
use http::{Response, StatusCode};
use serde::Serialize;

use super::reply;
use crate::member::Member;
use crate::server::body::Answer;

/// Before the leader has decided the cluster version.
const NOT_DECIDED: &str = "not_decided";

#[derive(Serialize)]
struct Versions<'a> {
    etcdserver: &'a str,
    etcdcluster: &'a str,
    storage: &'a str,
}

/// The release this member behaves like, and the one the whole cluster has agreed on.
pub fn answer(member: &Member) -> Response<Answer> {
    let cluster = member.store.read(|store| store.cluster_version().map(str::to_owned));
    let cluster = cluster.as_deref().unwrap_or(NOT_DECIDED);
    let versions = Versions { etcdserver: ETCD_VERSION, etcdcluster: cluster, storage: cluster };
    let body = serde_json::to_string(&versions).expect("three strings are JSON");
    reply::with(StatusCode::OK, "application/json", body)
}
