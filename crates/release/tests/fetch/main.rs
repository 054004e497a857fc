//! Fetching, against servers that behave and servers that do not.

// clippy.toml allows it in test functions; here the functions they share are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod server;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use release::fetch::{Limits, Proxies, Request, Silent};
use release::{FetchError, Release, Releases, Sum, archive};
use server::Server;
use tempfile::TempDir;

const TAG: &str = "ETag: \"one\"";

/// A good archive of about 150 kB, and its SHA-256.
fn archive() -> (Arc<Vec<u8>>, String) {
    let noise = noise(150_000);
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, mode, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(body.len() as u64);
        tar.append_data(&mut header, name, body).unwrap();
    };
    add("quorate-9/quorate", 0o755, b"#!agent");
    add("quorate-9/version", 0o644, b"9.0.0\n");
    add("quorate-9/noise", 0o644, &noise);
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let sum = Sum::sha256(&mut bytes.as_slice()).unwrap().to_string();
    (Arc::new(bytes), sum)
}

/// Bytes that do not compress (xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Releases in a temporary place, with one already there and current.
struct Place {
    _temp: TempDir,
    releases: Releases,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let releases = Releases::new(temp.path().join("unit"));
        let old = release::ReleaseId::new("old").unwrap();
        let this = std::env::current_exe().unwrap();
        let source = temp.path().join("agent");
        fs::write(&source, "old").unwrap();
        fs::set_permissions(&source, fs::metadata(this).unwrap().permissions()).unwrap();
        releases.install_from(&old, &source).unwrap();
        releases.switch(&old).unwrap();
        Self { _temp: temp, releases }
    }

    fn dir(&self) -> &Path {
        self.releases.dir()
    }

    /// Nothing but what was there at the start.
    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(names(self.dir()), ["current", "releases"]);
        assert_eq!(names(&self.dir().join("releases")), ["old"]);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Limits with which every failure is quick.
fn quick() -> Limits {
    Limits {
        idle: Duration::from_millis(200),
        backoff: Duration::from_millis(5),
        total: Duration::from_secs(15),
        attempts_max: 3,
        ..Limits::default()
    }
}

fn request(source: &str, sum: &str) -> Request {
    Request {
        source: source.parse().unwrap(),
        sum: (!sum.is_empty()).then(|| sum.parse().unwrap()),
        is_unverified_allowed: false,
        proxies: Proxies::default(),
        limits: quick(),
        archive_limits: archive::Limits::default(),
    }
}

fn run(request: &Request, place: &Place) -> Result<Release, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(release::fetch(request, &place.releases, &mut Silent))
}

#[track_caller]
fn fetched(server: &Server, sum: &str) {
    let place = Place::new();
    let release = run(&request(&server.url("q.tar.gz"), sum), &place).unwrap();
    assert_eq!(release.id.as_str(), &sum[..12]);
    assert_eq!(release.version().as_deref(), Some("9.0.0"));
    assert_eq!(fs::read_to_string(release.executable()).unwrap(), "#!agent");
    assert_eq!(names(place.dir()), ["current", "releases"], "no part is left");
    let current = place.releases.current().unwrap().unwrap();
    assert_eq!(current.id.as_str(), "old", "fetching does not switch");
}

#[track_caller]
fn fails_with(request: &Request, code: u8, why: &str) {
    let place = Place::new();
    let error = run(request, &place).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), code, "{text}");
    assert!(text.contains(why) && !text.contains('\n'), "{text:?} does not say {why:?}");
    place.assert_untouched();
}

#[test]
fn a_good_archive_becomes_a_release() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    fetched(&server, &sum);
}

#[test]
fn a_release_that_is_here_is_not_fetched_again() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let place = Place::new();
    let request = request(&server.url("q"), &sum);
    assert_eq!(run(&request, &place).unwrap(), run(&request, &place).unwrap());
    assert_eq!(server.heads().len(), 1);
    fs::write(place.dir().join("releases").join(&sum[..12]).join(".sum"), "other").unwrap();
    let error = run(&request, &place).unwrap_err();
    assert!(error.to_string().contains("here already with another sum"), "{error}");
}

#[test]
fn a_wrong_sum_changes_nothing_and_both_sums_are_named() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    for digits in [40, 64, 128] {
        let wrong = "0".repeat(digits);
        let mut request = request(&server.url("q?token=secret"), &wrong);
        fails_with(&request, 4, &wrong);
        if digits == 64 {
            fails_with(&request, 4, &format!("expected {wrong}, found {sum}"));
        }
        request.source = server.url("q").parse().unwrap();
        fails_with(&request, 4, "differs");
    }
}

#[test]
fn sha_1_and_sha_512_are_verified_too() {
    let (bytes, _) = archive();
    for digits in [40, 128] {
        let any: Sum = "0".repeat(digits).parse().unwrap();
        let sum = any.of_same_kind(&mut bytes.as_slice()).unwrap().to_string();
        let bytes = bytes.clone();
        fetched(&Server::start(move |exchange| exchange.whole(&[], &bytes)), &sum);
    }
}

#[test]
fn a_broken_transfer_is_resumed_where_it_broke() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| match exchange.number {
        0 => exchange.broken(&[TAG], &bytes, 50_000),
        _ => exchange.rest(&[TAG], &bytes),
    });
    fetched(&server, &sum);
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads[1].contains("if-range: \"one\""), "{}", heads[1]);
    assert!(!heads[0].contains("range:"), "{}", heads[0]);
}

#[test]
fn a_silent_server_is_left_and_the_transfer_resumed() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| match exchange.number {
        0 => exchange.silent(&["Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"], &bytes, 10_000),
        _ => exchange.rest(&[], &bytes),
    });
    fetched(&server, &sum);
    assert!(server.heads()[1].contains("if-range: mon, 01 jan 2024"), "{:?}", server.heads());
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| match exchange.number {
        0 => exchange.broken(&[TAG], &bytes, 50_000),
        _ => exchange.whole(&[TAG], &bytes),
    });
    fetched(&server, &sum);
}

#[test]
fn content_that_cannot_be_told_apart_is_not_resumed() {
    for headers in [&[][..], &["ETag: W/\"weak\""]] {
        let (bytes, sum) = archive();
        let server = Server::start(move |exchange| match exchange.number {
            0 => exchange.broken(headers, &bytes, 50_000),
            _ => exchange.whole(headers, &bytes),
        });
        fetched(&server, &sum);
        assert!(!server.heads()[1].contains("range:"), "{:?}", server.heads());
    }
}

#[test]
fn a_wrong_range_or_a_refused_one_means_a_clean_restart() {
    let (bytes, sum) = archive();
    for status in ["206 Partial Content", "416 Range Not Satisfiable"] {
        let bytes = bytes.clone();
        let server = Server::start(move |exchange| match exchange.number {
            0 => exchange.broken(&[TAG], &bytes, 50_000),
            1 => {
                exchange.answer(status, &["Content-Range: bytes 7-9/99", "Content-Length: 0"], b"")
            }
            _ => exchange.whole(&[TAG], &bytes),
        });
        fetched(&server, &sum);
        assert!(!server.heads()[2].contains("range:"), "{:?}", server.heads());
    }
}

#[test]
fn a_transfer_that_keeps_breaking_is_given_up() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.broken(&[], &bytes, 1_000));
    fails_with(&request(&server.url("q"), &sum), 3, "gave up after 3 attempts");
    assert_eq!(server.heads().len(), 3);
}

#[test]
fn a_server_in_trouble_is_asked_again_and_a_missing_file_is_not() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| match exchange.number {
        0 => exchange.answer("503 Service Unavailable", &["Content-Length: 0"], b""),
        1 => exchange.answer("429 Too Many Requests", &["Content-Length: 0"], b""),
        _ => exchange.whole(&[], &bytes),
    });
    fetched(&server, &sum);
    let server = Server::start(|exchange| exchange.answer("404 Not Found", &[], b"no"));
    fails_with(&request(&server.url("q"), &sum), 3, "404 Not Found");
    assert_eq!(server.heads().len(), 1);
    let server = Server::start(|exchange| exchange.answer("500 Internal Server Error", &[], b""));
    fails_with(&request(&server.url("q"), &sum), 3, "500 Internal Server Error");
    assert_eq!(server.heads().len(), 3);
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| match exchange.number {
        0 => exchange.answer("302 Found", &["Location: /elsewhere", "Content-Length: 0"], b""),
        _ => exchange.whole(&[], &bytes),
    });
    fetched(&server, &sum);
    assert!(server.heads()[1].starts_with("get /elsewhere "));
    let server = Server::start(|exchange| {
        exchange.answer("302 Found", &["Location: /again", "Content-Length: 0"], b"");
    });
    fails_with(&request(&server.url("q"), &sum), 3, "more than 5 redirects");
    assert_eq!(server.heads().len(), 6);
    let server = Server::start(|exchange| {
        exchange.answer("302 Found", &["Location: ftp://h/x", "Content-Length: 0"], b"");
    });
    fails_with(&request(&server.url("q"), &sum), 3, "cannot fetch");
}

#[test]
fn an_archive_that_is_too_large_is_not_taken() {
    let (bytes, sum) = archive();
    let announced = bytes.clone();
    let server = Server::start(move |exchange| exchange.whole(&[], &announced));
    let mut request = request(&server.url("q"), &sum);
    request.limits.bytes_max = 10_000;
    fails_with(&request, 3, "larger than 10000 bytes");
    let server = Server::start(move |exchange| exchange.answer("200 OK", &[], &bytes));
    request.source = server.url("q").parse().unwrap();
    fails_with(&request, 3, "larger than 10000 bytes");
}

#[test]
fn everything_together_has_a_time_limit() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.silent(&[], &bytes, 10));
    let mut request = request(&server.url("q"), &sum);
    request.limits.idle = Duration::from_secs(60);
    request.limits.total = Duration::from_millis(300);
    let began = Instant::now();
    fails_with(&request, 3, "not done after 0.3 s");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_port_where_nobody_listens_is_reported() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let request = request(&format!("http://127.0.0.1:{port}/q"), &"0".repeat(64));
    fails_with(&request, 3, "refused");
}

#[test]
fn a_proxy_is_used_except_for_what_is_excluded() {
    let (bytes, sum) = archive();
    let proxy = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let mut request = request("http://release.invalid/q.tar.gz", &sum);
    request.proxies.http = Some(proxy.url(""));
    let place = Place::new();
    run(&request, &place).unwrap();
    assert!(proxy.heads()[0].starts_with("get http://release.invalid/q.tar.gz "));
    request.proxies.no_proxy = Some("10.0.0.0/8,.invalid".to_owned());
    fails_with(&request, 3, "gave up");
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn a_local_file_is_verified_like_any_other() {
    let (bytes, sum) = archive();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("q.tar.gz");
    fs::write(&path, &*bytes).unwrap();
    let path = path.to_str().unwrap();
    for source in [path.to_owned(), format!("file://{path}")] {
        let place = Place::new();
        let release = run(&request(&source, &sum), &place).unwrap();
        assert_eq!(release.id.as_str(), &sum[..12]);
        fails_with(&request(&source, &"0".repeat(40)), 4, "SHA-1");
    }
    fails_with(&request("/nonexistent/q", &sum), 3, "/nonexistent/q");
    fails_with(&request("/dev/zero", &sum), 3, "not a file");
    let mut request = request(path, &sum);
    request.limits.bytes_max = 100;
    fails_with(&request, 3, "larger than 100 bytes");
}

#[test]
fn without_a_sum_only_a_local_file_is_taken_and_only_when_told_so() {
    let (bytes, sum) = archive();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("q.tar.gz");
    fs::write(&path, &*bytes).unwrap();
    let mut local = request(path.to_str().unwrap(), "");
    fails_with(&local, 2, "--allow-unverified");
    local.is_unverified_allowed = true;
    assert_eq!(run(&local, &Place::new()).unwrap().id.as_str(), &sum[..12]);
    let mut remote = request("http://127.0.0.1:1/q", "");
    remote.is_unverified_allowed = true;
    fails_with(&remote, 2, "needs a sum");
}

#[test]
fn a_verified_archive_that_is_not_a_release_is_refused() {
    let bytes = b"<html>not found</html>".to_vec();
    let sum = Sum::sha256(&mut bytes.as_slice()).unwrap().to_string();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    fails_with(&request(&server.url("q"), &sum), 5, "a web page");
}

#[test]
fn what_a_killed_fetch_left_does_not_matter() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let place = Place::new();
    fs::write(place.dir().join(".fetch.part"), vec![1; 500_000]).unwrap();
    let staging = place.dir().join("releases/.staging-1");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("quorate"), "half").unwrap();
    run(&request(&server.url("q"), &sum), &place).unwrap();
    assert_eq!(names(place.dir()), ["current", "releases"]);
    assert_eq!(names(&place.dir().join("releases")), [&sum[..12], "old"]);
}
