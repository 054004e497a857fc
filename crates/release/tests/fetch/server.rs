//! A small http server whose every answer is written by the test, byte by byte: broken transfers
//! are what it is for, and a real server does not make them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves until the test process ends.
pub struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

/// One request: the connection to answer on, and what was asked.
pub struct Exchange {
    stream: TcpStream,
    head: String,
    /// Number of this request, from 0.
    pub number: usize,
}

impl Server {
    /// Answers each request, on a connection of its own, with `answer`.
    pub fn start(answer: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), heads.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (answer.clone(), seen.clone());
                thread::spawn(move || {
                    let Some(head) = read_head(&stream) else { return };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(head.clone());
                        seen.len() - 1
                    };
                    answer(Exchange { stream, head, number });
                });
            }
        });
        Self { port, heads }
    }

    /// A URL of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The heads of all requests so far, lower-case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Exchange {
    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find_map(|l| l.strip_prefix(&format!("{name}: ")))?;
        Some(line.to_owned())
    }

    /// First byte asked for with `Range`.
    pub fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    /// Writes a head (`status` and header lines) and a body, and closes.
    pub fn answer(mut self, status: &str, headers: &[&str], body: &[u8]) {
        self.write(status, headers, body);
    }

    /// The whole `body` with its length.
    pub fn whole(self, headers: &[&str], body: &[u8]) {
        let length = format!("Content-Length: {}", body.len());
        self.answer("200 OK", &[headers, &[&length]].concat(), body);
    }

    /// The rest of `body` from where the client wants it, as 206.
    pub fn rest(self, headers: &[&str], body: &[u8]) {
        let start = self.range_start().expect("a range was asked for");
        let length = format!("Content-Length: {}", body.len() - start);
        let range = format!("Content-Range: bytes {start}-{}/{}", body.len() - 1, body.len());
        let headers = [headers, &[length.as_str(), range.as_str()]].concat();
        self.answer("206 Partial Content", &headers, &body[start..]);
    }

    /// Announces the whole `body`, sends `bytes` of it and breaks off.
    pub fn broken(self, headers: &[&str], body: &[u8], bytes: usize) {
        let length = format!("Content-Length: {}", body.len());
        self.answer("200 OK", &[headers, &[&length]].concat(), &body[..bytes]);
    }

    /// Announces the whole `body`, sends `bytes` of it, and is silent until the client gives up.
    pub fn silent(mut self, headers: &[&str], body: &[u8], bytes: usize) {
        let length = format!("Content-Length: {}", body.len());
        self.write("200 OK", &[headers, &[&length]].concat(), &body[..bytes]);
        let _ = self.stream.read(&mut [0]);
    }

    fn write(&mut self, status: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        headers.iter().for_each(|line| head.extend([line, "\r\n"]));
        head.push_str("\r\n");
        // A client that had enough closes early.
        let _ = self.stream.write_all(head.as_bytes());
        let _ = self.stream.write_all(body);
        let _ = self.stream.flush();
    }
}

fn read_head(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.to_lowercase())
}
