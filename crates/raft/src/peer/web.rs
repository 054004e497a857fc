//! The one page of the peer port that is no peer protocol: `GET /members`, as etcd has it.
//!
//! Proxies are told peer addresses (`name=peer-url,...`) and learn from this page where clients are
//! served (etcd-surface 3, "peer port"). It tells what every client may know, and changes nothing.

use std::fmt::Write;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::members::MemberInfo;

/// Longest request that is read, in bytes; a proxy's has some two hundred.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// True when a connection begins as a request for a page does.
pub(super) fn is_request(first: &[u8]) -> bool {
    first.starts_with(b"GET ")
}

/// Answers the request that begins with `first`. `cluster` is the cluster's id.
pub(super) async fn answer(
    stream: &mut TcpStream,
    first: &[u8],
    cluster: u64,
    members: &[MemberInfo],
) -> io::Result<()> {
    let mut request = first.to_vec();
    let mut chunk = [0; 512];
    // The whole head: closing a connection with unread bytes would reset it under the answer.
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut chunk).await?;
        if count == 0 || request.len() + count > REQUEST_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a request for a page"));
        }
        request.extend_from_slice(&chunk[..count]);
    }
    stream.write_all(page(&request, cluster, members).as_bytes()).await?;
    stream.shutdown().await
}

fn page(request: &[u8], cluster: u64, members: &[MemberInfo]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let (status, kind, body) = match path {
        b"/members" => ("200 OK", "application/json", list(members)),
        _ => ("404 Not Found", "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         x-etcd-cluster-id: {cluster:016x}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Members in etcd's JSON: ids are numbers, what is empty is left out.
fn list(members: &[MemberInfo]) -> String {
    let one = |member: &MemberInfo| {
        let mut text =
            format!("{{\"id\":{},\"peerURLs\":{}", member.id.0, texts(&member.peer_urls));
        if member.is_learner {
            text += ",\"isLearner\":true";
        }
        if !member.name.is_empty() {
            text = text + ",\"name\":" + &quoted(&member.name);
        }
        if !member.client_urls.is_empty() {
            text = text + ",\"clientURLs\":" + &texts(&member.client_urls);
        }
        text + "}"
    };
    format!("[{}]\n", members.iter().map(one).collect::<Vec<_>>().join(","))
}

fn texts(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(","))
}

/// A JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use store::MemberId;

    use super::*;

    fn member(id: u64, name: &str) -> MemberInfo {
        let urls = |port: u16| vec![format!("http://10.0.0.{id}:{port}")];
        let is_started = !name.is_empty();
        MemberInfo {
            id: MemberId(id),
            name: name.to_owned(),
            peer_urls: urls(2380),
            client_urls: if is_started { urls(2379) } else { Vec::new() },
            is_learner: !is_started,
        }
    }

    #[test]
    fn members_are_listed_as_etcd_lists_them() {
        let members = [member(1, "a\"\u{7}"), member(2, "")];
        let page = page(b"GET /members HTTP/1.1\r\nhost: x\r\n\r\n", 0xab, &members);
        let body = "[{\"id\":1,\"peerURLs\":[\"http://10.0.0.1:2380\"],\"name\":\"a\\\"\\u0007\",\
                    \"clientURLs\":[\"http://10.0.0.1:2379\"]},{\"id\":2,\"peerURLs\":\
                    [\"http://10.0.0.2:2380\"],\"isLearner\":true}]\n";
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.contains("x-etcd-cluster-id: 00000000000000ab\r\n"), "{page}");
        assert_eq!(page.split_once("\r\n\r\n").unwrap().1, body);
    }

    #[test]
    fn there_is_no_other_page() {
        for path in ["/", "/members/", "/version", "/raft", ""] {
            let request = format!("GET {path} HTTP/1.1\r\n\r\n");
            assert!(page(request.as_bytes(), 1, &[]).starts_with("HTTP/1.1 404 "), "{path}");
        }
    }
}
