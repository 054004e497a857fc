//! A small web server on loopback that releases are fetched from.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a client may take to ask.
const READ_MAX: Duration = Duration::from_secs(10);

/// Serves bytes by path, over http; anything else is not found. Ends with the test's process.
pub struct WebServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    pages: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
}

impl WebServer {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // A client that goes away early is its own business.
                std::thread::spawn(move || drop(answer(&shared, stream)));
            }
        });
        Self { address, shared }
    }

    /// Puts a page there; gives its address.
    pub fn publish(&self, path: &str, content: Vec<u8>) -> String {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.pages.insert(path.to_owned(), content);
        self.url(path)
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.asked.iter().filter(|asked| *asked == path).count()
    }
}

fn answer(shared: &Mutex<Shared>, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(READ_MAX))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.asked.push(path.clone());
        shared.pages.get(&path).cloned()
    };
    let (status, body) = page.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&body)
}
