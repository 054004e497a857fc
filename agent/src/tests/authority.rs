//! Requests whose `:authority` is a URL, as etcdctl 3.4 sends them.

use api::etcdserverpb::StatusResponse;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{DEADLINE, TestMember};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The fields of a call in plain literals that are remembered. No HTTP/2 library builds these.
fn block(authority: &str) -> Vec<u8> {
    let fields = [
        (&b"\x44"[..], "/etcdserverpb.Maintenance/Status"),
        (b"\x41", authority),
        (b"\x5f", "application/grpc"),
        (b"\x40\x02te", "trailers"),
    ];
    let literal =
        |(name, value): (&[u8], &str)| [name, &[value.len() as u8], value.as_bytes()].concat();
    // POST and http come from the static table.
    [b"\x83\x86".to_vec(), fields.map(literal).concat()].concat()
}

/// The same fields again, from the dynamic table: the last one remembered is number 62.
const BLOCK_AGAIN: &[u8] = b"\x83\x86\xc1\xc0\xbf\xbe";

async fn send(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let [_, len @ ..] = (payload.len() as u32).to_be_bytes();
    let bytes = [&len[..], &[kind, flags], &id.to_be_bytes(), payload].concat();
    stream.write_all(&bytes).await.expect("sent");
}

/// Sends a call without fields in its message and reads its answer.
async fn status(stream: &mut TcpStream, id: u32, block: &[u8]) -> StatusResponse {
    send(stream, HEADERS, END_HEADERS, id, block).await;
    send(stream, DATA, END_STREAM, id, &[0; 5]).await;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let [high, middle, low, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        stream.read_exact(&mut payload).await.expect("a whole frame");
        match kind {
            DATA => return StatusResponse::decode(&payload[5..]).expect("an answer"),
            SETTINGS if flags & 1 == 0 => send(stream, SETTINGS, 1, 0, &[]).await,
            RST_STREAM | GO_AWAY => panic!("refused: {payload:x?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_for_an_authority_is_served_again_and_again() {
    let member = TestMember::start(&[]).await;
    for authority in ["http://127.0.0.1:2379", "http://127.0.0.1:2379/", "https://[::1]:2379"] {
        let mut stream = TcpStream::connect(member.address).await.expect("connected");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
        send(&mut stream, SETTINGS, 0, 0, &[]).await;
        for (id, block) in [(1, &block(authority)[..]), (3, BLOCK_AGAIN), (5, BLOCK_AGAIN)] {
            let answer = tokio::time::timeout(DEADLINE, status(&mut stream, id, block)).await;
            assert_eq!(answer.expect("in time").version, api::ETCD_VERSION, "{authority}");
        }
    }
    member.running.stop().await;
}
