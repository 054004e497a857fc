//! http and https: requests, repeats, resuming.

use std::error::Error as _;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, NoProxy, Proxy, Response, StatusCode, Url};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::limits::BACKOFF_MAX;
use super::part::Part;
use super::source::shown;
use super::{FetchError, Limits, Progress, Proxies, Request, seconds};

/// Why one attempt ended without all bytes.
enum Failure {
    /// Worth another attempt.
    Passing(String),
    /// Not worth one.
    Final(FetchError),
}

/// What has arrived so far.
struct Transfer<'a> {
    part: &'a Part,
    file: File,
    bytes: u64,
    /// What the server names this content by, for `If-Range`.
    validator: Option<String>,
}

/// Downloads `url` into the part.
pub(super) async fn download(
    url: &Url,
    request: &Request,
    part: &Part,
    progress: &mut dyn Progress,
) -> Result<(), FetchError> {
    let limits = &request.limits;
    let client = client(limits, &request.proxies)?;
    let mut transfer = Transfer::new(part).await?;
    let mut backoff = limits.backoff;
    for attempt in 1..=limits.attempts_max {
        let why = match transfer.attempt(&client, url, limits, progress).await {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(why)) => why,
        };
        if attempt == limits.attempts_max {
            let why = format!("{why} (gave up after {attempt} attempts)");
            return Err(cannot(url, why));
        }
        let wait = backoff.min(BACKOFF_MAX);
        progress.note(&format!("{why}; trying again in {}", seconds(wait)));
        sleep(wait).await;
        backoff = backoff.saturating_mul(2);
    }
    Err(cannot(url, "no attempt is allowed".to_owned()))
}

impl<'a> Transfer<'a> {
    async fn new(part: &'a Part) -> Result<Self, FetchError> {
        let file = OpenOptions::new()
            .append(true)
            .open(part.path())
            .await
            .map_err(FetchError::disk("open", part.path()))?;
        Ok(Self { part, file, bytes: 0, validator: None })
    }

    async fn attempt(
        &mut self,
        client: &Client,
        url: &Url,
        limits: &Limits,
        progress: &mut dyn Progress,
    ) -> Result<(), Failure> {
        // A server may answer with a compressed body when this is not said; the sum is of the file.
        let mut get = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if let (1.., Some(validator)) = (self.bytes, &self.validator) {
            get = get.header(RANGE, format!("bytes={}-", self.bytes)).header(IF_RANGE, validator);
        }
        let response = get.send().await.map_err(|error| judge(url, error))?;
        let bytes_total = self.accept(url, &response, progress).await?;
        if bytes_total.is_some_and(|total| total > limits.bytes_max) {
            return Err(Failure::Final(too_big(url, limits)));
        }
        self.receive(url, response, bytes_total, limits, progress).await
    }

    /// Decides by the status where the body goes: behind what is here, or from the start. Answers
    /// with the size of the whole, when the server says it.
    async fn accept(
        &mut self,
        url: &Url,
        response: &Response,
        progress: &mut dyn Progress,
    ) -> Result<Option<u64>, Failure> {
        let status = response.status();
        match status {
            StatusCode::PARTIAL_CONTENT => {
                if content_range(response.headers()).is_none_or(|(start, _)| start != self.bytes) {
                    self.restart().await?;
                    return Err(Failure::Passing("the server sent another range".to_owned()));
                }
                progress.note(&format!("resuming at {} bytes", self.bytes));
                Ok(content_range(response.headers()).and_then(|(_, total)| total))
            }
            StatusCode::OK => {
                self.restart().await?;
                self.validator = validator(response.headers());
                Ok(response.content_length())
            }
            StatusCode::RANGE_NOT_SATISFIABLE if self.bytes > 0 => {
                self.restart().await?;
                Err(Failure::Passing("the server refused to resume".to_owned()))
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Passing(format!("the server answered {status}")))
            }
            _ => Err(Failure::Final(cannot(url, format!("the server answered {status}")))),
        }
    }

    async fn receive(
        &mut self,
        url: &Url,
        mut response: Response,
        bytes_total: Option<u64>,
        limits: &Limits,
        progress: &mut dyn Progress,
    ) -> Result<(), Failure> {
        let disk = |error| Failure::Final(FetchError::disk("write", self.part.path())(error));
        while let Some(chunk) = response.chunk().await.map_err(|error| judge(url, error))? {
            if self.bytes + chunk.len() as u64 > limits.bytes_max {
                return Err(Failure::Final(too_big(url, limits)));
            }
            self.file.write_all(&chunk).await.map_err(disk)?;
            // Flushed before it is counted: a resume continues from what is in the file.
            self.file.flush().await.map_err(disk)?;
            self.bytes += chunk.len() as u64;
            progress.at(self.bytes, bytes_total);
        }
        match bytes_total {
            Some(total) if self.bytes < total => {
                Err(Failure::Passing(format!("the body ended at {} of {total} bytes", self.bytes)))
            }
            _ => Ok(()),
        }
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        let disk = |error| Failure::Final(FetchError::disk("write", self.part.path())(error));
        self.file.set_len(0).await.map_err(disk)?;
        self.bytes = 0;
        self.validator = None;
        Ok(())
    }
}

fn client(limits: &Limits, proxies: &Proxies) -> Result<Client, FetchError> {
    let usage = |error: reqwest::Error| FetchError::Usage(format!("proxy: {}", reason(&error)));
    let tls = rustls::crypto::ring::default_provider();
    // Fails when the process has a provider already: then that one serves.
    let _ = tls.install_default();
    let redirects_max = limits.redirects_max;
    let mut builder = Client::builder()
        .user_agent(concat!("quorate-release/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .read_timeout(limits.idle)
        .redirect(Policy::custom(move |attempt| redirect(attempt, redirects_max)))
        .referer(false)
        .no_proxy();
    let no_proxy = || proxies.no_proxy.as_deref().and_then(NoProxy::from_string);
    if let Some(url) = &proxies.http {
        builder = builder.proxy(Proxy::http(url).map_err(usage)?.no_proxy(no_proxy()));
    }
    if let Some(url) = &proxies.https {
        builder = builder.proxy(Proxy::https(url).map_err(usage)?.no_proxy(no_proxy()));
    }
    builder.build().map_err(usage)
}

/// Follows a bounded number of redirects, and none from https to http: it would give away what TLS
/// was to protect.
fn redirect(attempt: Attempt<'_>, redirects_max: usize) -> reqwest::redirect::Action {
    if attempt.previous().len() > redirects_max {
        return attempt.error(format!("more than {redirects_max} redirects"));
    }
    let was_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    match attempt.url().scheme() {
        "https" => attempt.follow(),
        "http" if !was_https => attempt.follow(),
        "http" => attempt.error("redirected from https to http"),
        other => {
            let why = format!("redirected to unsupported scheme {other:?}");
            attempt.error(why)
        }
    }
}

/// Connection trouble passes; a redirect or a request we cannot make does not. A certificate that
/// does not verify counts as connection trouble in reqwest: it is told apart by its cause.
fn judge(url: &Url, error: reqwest::Error) -> Failure {
    let why = reason(&error);
    let is_final = error.is_redirect() || error.is_builder() || is_certificate(&error);
    if is_final { Failure::Final(cannot(url, why)) } else { Failure::Passing(why) }
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = io.and_then(|e| e.downcast_ref::<rustls::Error>()).or(inner.downcast_ref());
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The innermost causes in one line; reqwest's own text repeats the URL, with its query.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        let what = if error.is_connect() { "connecting" } else { "waiting for data" };
        return format!("time-out while {what}");
    }
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    if texts.is_empty() { "the request failed".to_owned() } else { texts.join(": ") }
}

/// Start and, when known, total of `bytes 10-99/100`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A strong entity tag, else the date. A weak tag does not promise equal bytes (RFC 9110, 13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

fn too_big(url: &Url, limits: &Limits) -> FetchError {
    cannot(url, format!("it is larger than {} bytes", limits.bytes_max))
}

fn cannot(url: &Url, why: String) -> FetchError {
    FetchError::Unreachable { source_shown: shown(url), why }
}
