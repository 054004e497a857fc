//! Asking a member directly how it is: what a unit whose member does not lead has no other way to
//! know of the others.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long a member may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Whether the member that clients reach at `url` answers, and says that it is healthy. `None` when
/// it cannot be asked this way.
pub(crate) fn is_healthy(url: &str) -> Option<bool> {
    let address = url.strip_prefix("http://")?.split('/').next()?;
    Some(ask(address).is_ok_and(|answer| answer.contains("\"health\":\"true\"")))
}

fn ask(address: &str) -> std::io::Result<String> {
    let deadline = Instant::now() + ANSWER_MAX;
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let place = address.to_socket_addrs()?.next().ok_or_else(late)?;
    let mut stream = TcpStream::connect_timeout(&place, ANSWER_MAX)?;
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(late());
    }
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))?;
    write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // What came before a slow end is enough to tell.
    let ended = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    match answer.is_empty() {
        true => ended.and_then(|_| Err(late())),
        false => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_member_is_what_it_says_and_silence_is_no_health() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        for (body, expected) in [("{\"health\":\"true\"}", true), ("{\"health\":\"false\"}", false)]
        {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut asked = [0; 11];
                    stream.read_exact(&mut asked).unwrap();
                    assert_eq!(&asked, b"GET /health");
                    write!(stream, "HTTP/1.1 200 OK\r\n\r\n{body}").unwrap();
                });
                assert_eq!(is_healthy(&url), Some(expected));
            });
        }
        drop(listener);
        assert_eq!(is_healthy(&url), Some(false));
        assert_eq!(is_healthy("https://127.0.0.1:1"), None);
        assert_eq!(is_healthy(""), None);
    }
}
