//! The plain HTTP side of a member: etcd-surface 3.1, with a client that knows nothing of gRPC.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::ExitCode;

use http::{Method, StatusCode};
use quorate_tests::{Cluster, Page, Server, Shape, Suite, WebRequest, eventually, fetch, pb};
use serde_json::Value;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.on_each("health_is_true_and_get_only", health_is_true_and_get_only);
    suite.on_each("health_tells_of_an_alarm", health_tells_of_an_alarm);
    suite.on_each("health_without_quorum_is_false", health_without_quorum_is_false);
    suite.on_each("version_names_server_and_cluster", version_names_server_and_cluster);
    suite.on_each(
        "probes_answer_ok_and_explain_themselves",
        probes_answer_ok_and_explain_themselves,
    );
    suite.on_each("metrics_have_etcds_names", metrics_have_etcds_names);
    suite.on_each("unknown_paths_are_not_found", unknown_paths_are_not_found);
    suite.on_each("cors_headers_are_always_there", cors_headers_are_always_there);
    suite.on_each("metrics_listener_serves_the_same", metrics_listener_serves_the_same);
    suite.main()
}

async fn one(server: &Server) -> (Cluster, String) {
    let cluster = Cluster::start(server, Shape::of(1)).await;
    let address = cluster.members[0].client_address();
    (cluster, address)
}

async fn get(address: &str, path: &str) -> Page {
    fetch(WebRequest::get(address, path)).await.unwrap()
}

fn json(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|error| panic!("{error} in {page:?}"))
}

async fn health_is_true_and_get_only(server: Server) {
    let (_cluster, address) = one(&server).await;
    for path in ["/health", "/health?serializable=true", "/health?exclude=NOSPACE"] {
        let page = get(&address, path).await;
        assert_eq!((page.status, &json(&page)["health"]), (StatusCode::OK, &Value::from("true")));
        if server.at_least(3, 5) {
            assert_eq!(json(&page)["reason"], "", "{path}");
        }
    }
    let post = fetch(WebRequest::get(&address, "/health").method(Method::POST)).await.unwrap();
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers["allow"], "GET");
}

async fn health_tells_of_an_alarm(server: Server) {
    let (cluster, address) = one(&server).await;
    let client = cluster.client();
    let id = client.status(pb::Empty {}).await.unwrap().leader;
    let raise = pb::AlarmRequest { action: 1, member_id: id, alarm: 1 };
    client.alarm(raise).await.unwrap();
    let page = get(&address, "/health").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(&page)["health"], "false");
    if server.at_least(3, 5) {
        assert_eq!(json(&page)["reason"], "ALARM NOSPACE");
        let excluded = get(&address, "/health?exclude=NOSPACE").await;
        assert_eq!(
            (excluded.status, &json(&excluded)["health"]),
            (StatusCode::OK, &Value::from("true"))
        );
    }
}

async fn health_without_quorum_is_false(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let address = cluster.members[0].client_address();
    cluster.members[1].kill();
    cluster.members[2].kill();
    eventually("health notices the missing quorum", async || {
        let page = fetch(WebRequest::get(&address, "/health")).await.ok()?;
        (page.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
}

async fn version_names_server_and_cluster(server: Server) {
    let (_cluster, address) = one(&server).await;
    let version = server.version;
    let page = eventually("the cluster version is decided", async || {
        let page = get(&address, "/version").await;
        (json(&page)["etcdcluster"] != "not_decided").then_some(page)
    })
    .await;
    let full = format!("{}.{}.{}", version.major, version.minor, version.patch);
    assert_eq!(json(&page)["etcdserver"], full);
    assert_eq!(json(&page)["etcdcluster"], format!("{}.{}.0", version.major, version.minor));
    assert_eq!(page.headers["content-type"], "application/json");
}

async fn probes_answer_ok_and_explain_themselves(server: Server) {
    let (_cluster, address) = one(&server).await;
    if !server.at_least(3, 6) {
        // They came with 3.4.29 and 3.5.11; older patches answer 404 here.
        assert_eq!(get(&address, "/livez").await.status, StatusCode::NOT_FOUND);
        return;
    }
    for path in ["/livez", "/readyz", "/livez/serializable_read", "/readyz/linearizable_read"] {
        let page = get(&address, path).await;
        assert_eq!((page.status, page.body.trim_end()), (StatusCode::OK, "ok"), "{path}");
    }
    let verbose = get(&address, "/readyz?verbose").await;
    for check in ["data_corruption", "serializable_read", "linearizable_read", "non_learner"] {
        assert!(verbose.body.contains(&format!("[+]{check} ok")), "{check} in {}", verbose.body);
    }
    let excluded = get(&address, "/readyz?verbose&exclude=linearizable_read").await;
    assert!(!excluded.body.contains("[+]linearizable_read"), "{}", excluded.body);
    assert!(get(&address, "/livez?verbose").await.body.contains("[+]serializable_read ok"));
}

async fn metrics_have_etcds_names(server: Server) {
    let (cluster, address) = one(&server).await;
    let client = cluster.client();
    let request = pb::PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
    client.put(request).await.unwrap();
    let page = get(&address, "/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    let kind = page.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let value = |name: &str| metric(&page.body, name);
    assert_eq!(value("etcd_server_has_leader"), Some(1.0));
    assert_eq!(value("etcd_server_is_leader"), Some(1.0));
    assert_eq!(value("etcd_server_is_learner"), Some(0.0));
    assert_eq!(value("etcd_debugging_mvcc_current_revision"), Some(2.0));
    assert_eq!(value("etcd_debugging_mvcc_keys_total"), Some(1.0));
    let handled = r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#;
    assert_eq!(value(handled), Some(1.0));
    for present in [
        "etcd_server_leader_changes_seen_total",
        "etcd_server_proposals_committed_total",
        "etcd_server_proposals_applied_total",
        "etcd_server_proposals_pending",
        "etcd_server_proposals_failed_total",
        "etcd_server_quota_backend_bytes",
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "etcd_mvcc_put_total",
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_disk_backend_commit_duration_seconds_count",
        "etcd_network_client_grpc_sent_bytes_total",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_debugging_mvcc_watcher_total",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(value(present).is_some(), "{present} is missing");
    }
    let version = server.version;
    let full = format!("{}.{}.{}", version.major, version.minor, version.patch);
    assert_eq!(value(&format!(r#"etcd_server_version{{server_version="{full}"}}"#)), Some(1.0));
}

/// The value of the sample whose name and labels are exactly `name`.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

async fn unknown_paths_are_not_found(server: Server) {
    let (_cluster, address) = one(&server).await;
    for path in ["/nothing", "/healthz", "/v2x"] {
        assert_eq!(get(&address, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

async fn cors_headers_are_always_there(server: Server) {
    let (_cluster, address) = one(&server).await;
    let request = WebRequest::get(&address, "/version").header("origin", "http://example.test");
    let page = fetch(request).await.unwrap();
    assert_eq!(page.headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE");
    let origin = page.headers["access-control-allow-origin"].to_str().unwrap();
    assert!(origin == "*" || origin == "http://example.test", "{origin}");
    let options = WebRequest::get(&address, "/version").method(Method::OPTIONS);
    assert_eq!(fetch(options).await.unwrap().status, StatusCode::OK);
}

async fn metrics_listener_serves_the_same(server: Server) {
    let port = quorate_tests::Port::claim();
    let shape = Shape::of(1).flag(format!("--listen-metrics-urls={}", port.url()));
    let cluster = Cluster::start(&server, shape).await;
    let address = port.address();
    assert_eq!(metric(&get(&address, "/metrics").await.body, "etcd_server_has_leader"), Some(1.0));
    assert_eq!(json(&get(&address, "/health").await)["health"], "true");
    drop(cluster);
}
