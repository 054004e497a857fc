//! Plain HTTP on the client port.

use http::Method;

use super::client::{TestMember, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_probes_have_etcds_shapes() {
    let member = TestMember::start(&[]).await;
    let healthy = r#"{"health":"true","reason":""}"#;
    let (status, _, body) = member.http(Method::GET, "/health").await;
    assert_eq!((status, body.as_str()), (200, healthy));
    let (status, _, body) = member.http(Method::GET, "/livez").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    let (_, _, body) = member.http(Method::GET, "/readyz?verbose&exclude=non_learner").await;
    let lines = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n";
    assert_eq!(body, lines);
    let (status, headers, _) = member.http(Method::POST, "/health").await;
    assert_eq!((status, &headers["allow"]), (405, &"GET".parse().expect("a value")));
    assert_eq!(member.http(Method::GET, "/v2/keys").await.0, 404);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_pages_of_any_origin_may_read_every_answer() {
    let member = TestMember::start(&[]).await;
    for (method, path, expected) in [
        (Method::GET, "/version", 200),
        (Method::GET, "/nothing", 404),
        (Method::POST, "/health", 405),
        (Method::OPTIONS, "/version", 200),
        (Method::OPTIONS, "/nothing", 200),
    ] {
        let (status, headers, body) = member.http(method.clone(), path).await;
        assert_eq!(status, expected, "{method} {path}");
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE");
        let allowed = &headers["access-control-allow-headers"];
        assert_eq!(allowed, "accept, content-type, authorization");
        assert_eq!(body.is_empty(), method == Method::OPTIONS);
    }
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_is_decided_by_the_leader() {
    let member = TestMember::start(&[]).await;
    let expected = r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#;
    eventually("the version", async || {
        let (status, _, body) = member.http(Method::GET, "/version").await;
        (status == 200 && body == expected).then_some(())
    })
    .await;
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_show_up_in_the_metrics() {
    let member = TestMember::start(&["--metrics=extensive"]).await;
    member.put("k", b"v").await.expect("accepted");
    let (_, headers, page) = member.http(Method::GET, "/metrics").await;
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let put = r#"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#;
    for line in [
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{put}}} 1"),
        format!("grpc_server_handling_seconds_count{{{put}}} 1"),
        "# TYPE grpc_server_handled_total counter".to_owned(),
        "etcd_server_has_leader 1.0".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\nin\n{page}");
    }
    member.running.stop().await;
}
