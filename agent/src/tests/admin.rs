//! The admin socket, over a real one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::etcdserverpb::{AlarmRequest, AlarmResponse, AlarmType};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use raft::LeaveError;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::client::{DEADLINE, TestMember, eventually};
use crate::admin::Server;
use crate::life::{Life, State};
use crate::turn::{self, TurnError};

/// An open admin socket in a directory of its own.
struct Socket {
    server: Server,
    path: PathBuf,
    _directory: TempDir,
}

impl Socket {
    async fn open(life: &Arc<Life>) -> Self {
        let directory = TempDir::new().expect("a directory for the test");
        let path = directory.path().join("admin.sock");
        let server = Server::open(&path, life.clone()).await.expect("the socket opens");
        Self { server, path, _directory: directory }
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, answer) = ask(&self.path, Method::GET, path, "").await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, _, answer) = ask(&self.path, Method::POST, path, &body.to_string()).await;
        (status, answer)
    }
}

async fn ask(socket: &Path, method: Method, path: &str, body: &str) -> (u16, HeaderMap, Value) {
    let stream = UnixStream::connect(socket).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "quorate")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .expect("a request");
    let answer = tokio::time::timeout(DEADLINE, sender.send_request(request)).await;
    let (head, body) = answer.expect("in time").expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    (head.status.as_u16(), head.headers, value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_member_tells_all_it_knows() {
    let member = TestMember::start(&["--name=one"]).await;
    let socket = Socket::open(&member.life).await;
    member.put("k", b"v").await.expect("accepted");
    let status = eventually("the member to be named", async || {
        let status = socket.get("/v1/status").await;
        (status["state"] == "member" && status["members"][0]["name"] == "one").then_some(status)
    })
    .await;
    let id = status["member_id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 16, "{id}");
    assert_eq!(status["cluster_id"].as_str().map(str::len), Some(16));
    for (key, expected) in [
        ("name", json!("one")),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("etcd_version", json!(crate::config::ETCD_VERSION)),
        ("reason", json!("")),
        ("leader", json!(id)),
        ("is_leader", json!(true)),
        ("is_learner", json!(false)),
        ("is_ready", json!(true)),
        ("revision", json!(2)),
        ("operation", Value::Null),
        ("tombstones", json!([])),
        ("alarms", json!([])),
        ("archives", json!([])),
    ] {
        assert_eq!(status[key], expected, "{key} in {status}");
    }
    for index in ["term", "applied_index", "committed_index"] {
        assert!(status[index].as_u64() > Some(0), "{index} in {status}");
    }
    let expected = json!({
        "id": id,
        "name": "one",
        "peer_urls": ["http://localhost:2380"],
        "client_urls": ["http://127.0.0.1:2379"],
        "is_learner": false,
        "is_leader": true,
        "is_alive": true,
    });
    assert_eq!(status["members"], json!([expected]));
    member.running.stop().await;
    let status = socket.get("/v1/status").await;
    assert_eq!(status["member_id"], Value::Null, "there is no member any more");
    assert_eq!(status["is_ready"], false);
}

#[tokio::test]
async fn before_there_is_a_member_only_the_status_answers() {
    let (life, _orders) = Life::new("a");
    let socket = Socket::open(&life).await;
    life.enter(State::Joining, "no seed answers");
    let status = socket.get("/v1/status").await;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("joining"), &"no seed answers".into())
    );
    assert_eq!(status["name"], "a");
    for key in ["cluster_id", "member_id", "leader", "operation"] {
        assert_eq!(status[key], Value::Null, "{key}");
    }
    for (path, body) in [
        ("/v1/compact", json!({})),
        ("/v1/defragment", json!({})),
        ("/v1/alarms/disarm", json!({})),
        ("/v1/leave", json!({})),
        ("/v1/remove", json!({ "member": "b" })),
        ("/v1/turn", json!({ "name": "restart" })),
    ] {
        let (status, answer) = socket.post(path, body).await;
        assert_eq!((status, &answer["code"]), (503, &json!("no-member")), "{path}: {answer}");
    }
    let (_, answer) = socket.post("/v1/compact", json!({})).await;
    let line = "there is no member to ask: the state is joining (no seed answers)";
    assert_eq!(answer["error"], line);
}

#[tokio::test]
async fn what_is_no_request_gets_a_line_and_a_word() {
    let (life, _orders) = Life::new("a");
    let socket = Socket::open(&life).await;
    let long = format!("{{\"member\":\"{}\"}}", "x".repeat(70_000));
    for (method, path, body, status, code) in [
        (Method::GET, "/", "", 404, "unknown-path"),
        (Method::GET, "/v1/status/", "", 404, "unknown-path"),
        (Method::GET, "/v2/status", "", 404, "unknown-path"),
        (Method::POST, "/v1/status", "{}", 405, "method-not-allowed"),
        (Method::GET, "/v1/turn", "", 405, "method-not-allowed"),
        (Method::PUT, "/v1/leave", "{}", 405, "method-not-allowed"),
        (Method::POST, "/v1/remove", "{", 400, "bad-request"),
        (Method::POST, "/v1/remove", "", 400, "bad-request"),
        (Method::POST, "/v1/remove", "{\"member\":7}", 400, "bad-request"),
        (Method::POST, "/v1/remove", "{\"member\":\"a\",\"by\":1}", 400, "bad-request"),
        (Method::POST, "/v1/remove", "{\"member\":\"a\",\"reason\":\"x\"}", 400, "bad-request"),
        (
            Method::POST,
            "/v1/remove",
            "{\"member\":\"a\",\"reason\":\"replaced\"}",
            400,
            "bad-request",
        ),
        (Method::POST, "/v1/remove", &long, 413, "too-large"),
        (Method::POST, "/v1/leave", "{\"now\":true}", 400, "bad-request"),
        (Method::POST, "/v1/compact", "{\"revision\":\"7\"}", 400, "bad-request"),
        (Method::POST, "/v1/turn", "{\"name\":\"a/b\"}", 400, "bad-request"),
        (Method::POST, "/v1/turn", "{\"name\":\"a\",\"ttl_s\":0}", 400, "bad-request"),
        (Method::POST, "/v1/turn", "{\"name\":\"a\",\"ttl_s\":3601}", 400, "bad-request"),
        (Method::DELETE, "/v1/turn", "", 400, "bad-request"),
        (Method::DELETE, "/v1/turn?name=A", "", 400, "bad-request"),
    ] {
        let (found, headers, answer) = ask(&socket.path, method.clone(), path, body).await;
        let what = format!("{method} {path} {:.40}: {answer}", body);
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{what}");
        let line = answer["error"].as_str().expect("a line");
        assert!(!line.is_empty() && !line.contains('\n'), "{what}");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers.contains_key("allow"), status == 405, "{what}");
    }
    let (_, headers, _) = ask(&socket.path, Method::PUT, "/v1/turn", "").await;
    assert_eq!(headers["allow"], "POST, DELETE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_given_up_to_now_or_to_a_revision() {
    let member = TestMember::start(&[]).await;
    let socket = Socket::open(&member.life).await;
    for _ in 0..4 {
        member.put("k", b"v").await.expect("accepted");
    }
    let answer = socket.post("/v1/compact", json!({ "revision": 3, "physical": true })).await;
    assert_eq!(answer, (200, json!({ "revision": 3 })));
    let (status, answer) = socket.post("/v1/compact", json!({ "revision": 2 })).await;
    assert_eq!((status, &answer["code"]), (400, &json!("out-of-range")));
    assert_eq!(answer["error"], "etcdserver: mvcc: required revision has been compacted");
    let (status, _) = socket.post("/v1/compact", json!({ "revision": 99 })).await;
    assert_eq!(status, 400, "a revision that has not come yet");
    assert_eq!(socket.post("/v1/compact", json!({})).await, (200, json!({ "revision": 5 })));
    let (status, answer) = socket.post("/v1/defragment", json!({})).await;
    assert_eq!(status, 200);
    assert!(answer["bytes_before"].as_u64() > Some(0) && answer["bytes_after"].as_u64() > Some(0));
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_are_shown_and_taken_back() {
    let member = TestMember::start(&[]).await;
    let socket = Socket::open(&member.life).await;
    let id = socket.get("/v1/status").await["member_id"].as_str().expect("an id").to_owned();
    let raise = AlarmRequest {
        action: 1,
        member_id: u64::from_str_radix(&id, 16).expect("hex"),
        alarm: AlarmType::Nospace.into(),
    };
    let _: AlarmResponse = member.unary("Maintenance/Alarm", &raise).await.expect("raised");
    let alarms = json!([{ "member": id, "alarm": "NOSPACE" }]);
    assert_eq!(socket.get("/v1/status").await["alarms"], alarms);
    let (status, answer) = socket.post("/v1/turn", json!({ "name": "restart" })).await;
    assert_eq!((status, &answer["code"]), (409, &json!("no-space")), "a turn is a key too");
    let disarmed = socket.post("/v1/alarms/disarm", json!({})).await;
    assert_eq!(disarmed, (200, json!({ "disarmed": alarms })));
    assert_eq!(socket.get("/v1/status").await["alarms"], json!([]));
    assert_eq!(socket.post("/v1/alarms/disarm", json!({})).await.1, json!({ "disarmed": [] }));
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_has_the_turn() {
    let member = TestMember::start(&["--name=one"]).await;
    let socket = Socket::open(&member.life).await;
    let turn = json!({ "name": "restart", "ttl_s": 60 });
    let taken = (200, json!({ "holder": "one" }));
    assert_eq!(socket.post("/v1/turn", turn.clone()).await, taken);
    assert_eq!(socket.post("/v1/turn", turn.clone()).await, taken, "again is longer");
    let services = member.life.member().expect("it serves");
    let leases = || services.store.read(|store| store.leases().len());
    assert_eq!(leases(), 1, "the first lease has nothing left to hold");
    let other = turn::take(&services, "restart", "two", 60).await;
    assert_eq!(other, Err(TurnError::Taken { holder: "one".to_owned() }));
    let other = turn::release(&services, "restart", "two").await;
    assert_eq!(other, Err(TurnError::Taken { holder: "one".to_owned() }));
    turn::take(&services, "upgrade", "two", 60).await.expect("another turn");
    let (status, answer) = socket.post("/v1/turn", json!({ "name": "upgrade" })).await;
    assert_eq!((status, &answer["holder"], &answer["code"]), (409, &json!("two"), &json!("taken")));

    let release = "/v1/turn?name=restart";
    for _ in 0..2 {
        let (status, _, answer) = ask(&socket.path, Method::DELETE, release, "").await;
        assert_eq!((status, answer), (200, json!({})), "twice is safe");
    }
    turn::take(&services, "restart", "two", 60).await.expect("free");
    assert_eq!(leases(), 2);
    drop(services);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_a_turn_at_once_one_gets_it() {
    let member = TestMember::start(&[]).await;
    let services = member.life.member().expect("it serves");
    let attempts = (0..8).map(|number| {
        let services = services.clone();
        tokio::spawn(
            async move { turn::take(&services, "restart", &format!("m{number}"), 60).await },
        )
    });
    let mut holders = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.expect("no panic") {
            Ok(()) => holders += 1,
            Err(TurnError::Taken { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(holders, 1);
    drop(services);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_gone_loses_its_turn() {
    let member = TestMember::start(&[]).await;
    let services = member.life.member().expect("it serves");
    turn::take(&services, "restart", "gone", 1).await.expect("free");
    let next = turn::take(&services, "restart", "next", 60).await;
    assert_eq!(next, Err(TurnError::Taken { holder: "gone".to_owned() }));
    eventually("the turn to end", async || turn::take(&services, "restart", "next", 60).await.ok())
        .await;
    drop(services);
    member.running.stop().await;
}

#[tokio::test]
async fn leaving_is_ordered_and_waited_for() {
    let (life, mut orders) = Life::new("a");
    let socket = Socket::open(&life).await;
    life.enter(State::Starting, "");
    let process = tokio::spawn(async move {
        for outcome in
            [Err(LeaveError::LastVoter), Err(LeaveError::NoQuorum("no leader".to_owned())), Ok(())]
        {
            orders.recv().await.expect("an order").answer(outcome);
        }
    });
    for (status, key, value) in
        [(409, "code", "last-voter"), (503, "code", "no-quorum"), (200, "state", "left")]
    {
        let (found, answer) = socket.post("/v1/leave", json!({})).await;
        assert_eq!((found, &answer[key]), (status, &json!(value)), "{answer}");
    }
    process.await.expect("no panic");
}

#[tokio::test]
async fn the_file_goes_and_an_answer_in_progress_is_finished_at_the_end() {
    let (life, mut orders) = Life::new("a");
    let Socket { server, path, _directory } = Socket::open(&life).await;
    let asking = tokio::spawn({
        let path = path.clone();
        async move { ask(&path, Method::POST, "/v1/leave", "{}").await }
    });
    let order = orders.recv().await.expect("an order");
    let closing = tokio::spawn(server.close());
    eventually("the file to go", async || (!path.exists()).then_some(())).await;
    order.answer(Ok(()));
    assert_eq!(asking.await.expect("no panic").0, 200);
    closing.await.expect("no panic");
}
