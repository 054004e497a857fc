//! Running out of room, and getting it back.

use api::etcdserverpb::{
    AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse,
    DeleteRangeRequest, DeleteRangeResponse,
};

use super::client::{TestMember, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_beyond_the_quota_until_there_is_room_again() {
    let member = TestMember::start(&["--quota-backend-bytes=10000"]).await;
    let refused =
        eventually("the quota to be reached", async || member.put("k", &[0; 1000]).await.err())
            .await;
    assert_eq!(refused, (8, "etcdserver: mvcc: database space exceeded".to_owned()));
    let alarms: AlarmResponse =
        member.unary("Maintenance/Alarm", &AlarmRequest::default()).await.expect("listed");
    assert_eq!(alarms.alarms[0].alarm, AlarmType::Nospace as i32);
    let (status, _, body) = member.http(http::Method::GET, "/health").await;
    let reason = "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n";
    assert_eq!((status, body.as_str()), (503, reason));

    assert_eq!(member.get("k").await.count, 1, "reads are served");
    let delete = DeleteRangeRequest { key: "k".into(), ..Default::default() };
    let deleted: DeleteRangeResponse =
        member.unary("KV/DeleteRange", &delete).await.expect("deletions are accepted");
    let revision = deleted.header.expect("a header").revision;
    let compact = CompactionRequest { revision, physical: false };
    let _: CompactionResponse = member.unary("KV/Compact", &compact).await.expect("accepted");
    eventually("writes to be accepted", async || member.put("k", b"v").await.ok()).await;
    member.running.stop().await;
}
