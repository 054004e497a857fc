//! The command line of `quorate-release`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use release::fetch::{Limits, Proxies, Request};
use release::{FetchError, archive};

const AFTER_HELP: &str = "\
Exit codes: 0 done; 2 bad usage (malformed sum, unsupported scheme, no such release); 3 cannot
fetch; 4 the sum differs; 5 the archive is refused; 6 the disk, or another process keeps the
directory busy. Whatever fails, the releases that were there stay usable.

Examples:
  quorate-release fetch --source https://example.com/quorate-1.0.0-linux-x86_64.tar.gz \\
      --sum 0a1b...(64 hex digits) --into /opt/quorate/etcd-0
  quorate-release list --into /opt/quorate/etcd-0
  quorate-release switch 0a1b2c3d4e5f --into /opt/quorate/etcd-0
  quorate-release rollback --into /opt/quorate/etcd-0

Switching and rolling back change a link; the running member keeps what it started with until it is
restarted. Answers are JSON on stdout; progress and errors go to stderr.";

/// Fetch, verify, unpack, switch and roll back releases of quorate
#[derive(Debug, Parser)]
#[command(name = "quorate-release", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch a release, check its sum and unpack it beside the others; does not switch to it
    Fetch(Box<Fetch>),
    /// List the releases, and which one is current and previous
    List {
        #[command(flatten)]
        into: Into,
    },
    /// Make a release current; what was current becomes previous
    Switch {
        /// Id of the release, as `list` shows it
        id: String,
        #[command(flatten)]
        into: Into,
    },
    /// Make the previous release current again; doing it twice is rolling forward
    Rollback {
        #[command(flatten)]
        into: Into,
    },
}

/// The directory of releases.
#[derive(Debug, Args)]
pub struct Into {
    /// Directory of the releases of one unit, e.g. /opt/quorate/etcd-0
    #[arg(long = "into", value_name = "DIR")]
    pub dir: PathBuf,
}

/// Options of `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// Where from: http://, https:// or file:// URL, or a path. A .tar.gz or .tar with an executable
    /// `quorate` at its top or in its only top folder, or that executable alone
    #[arg(long, value_name = "URL|PATH")]
    source: String,

    /// SHA-1 (40), SHA-256 (64) or SHA-512 (128 hex digits) of the file; its first 12 digits become
    /// the id of the release. Always needed for http and https
    #[arg(long, value_name = "HEX")]
    sum: Option<String>,

    /// Take a local file without --sum, as it is
    #[arg(long)]
    allow_unverified: bool,

    #[command(flatten)]
    pub into: Into,

    /// Proxy for http
    #[arg(long, value_name = "URL", env = "JUJU_CHARM_HTTP_PROXY", hide_env_values = true)]
    http_proxy: Option<String>,

    /// Proxy for https
    #[arg(long, value_name = "URL", env = "JUJU_CHARM_HTTPS_PROXY", hide_env_values = true)]
    https_proxy: Option<String>,

    /// Hosts, domains, addresses and networks to reach directly, comma-separated
    #[arg(long, value_name = "LIST", env = "JUJU_CHARM_NO_PROXY", hide_env_values = true)]
    no_proxy: Option<String>,

    /// Most time for everything, in seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().total.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout_s: u64,

    /// Most time for one connection attempt, in seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().connect.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=600))]
    connect_timeout_s: u64,

    /// Longest time without a byte before the transfer is resumed, in seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().idle.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=600))]
    idle_timeout_s: u64,

    /// Most bytes of the file to fetch
    #[arg(long, value_name = "N", default_value_t = Limits::default().bytes_max,
          value_parser = clap::value_parser!(u64).range(1..))]
    size_max_bytes: u64,
}

impl Fetch {
    /// The request these options make.
    pub fn request(&self) -> Result<Request, FetchError> {
        Ok(Request {
            source: self.source.parse()?,
            sum: self.sum.as_deref().map(str::parse).transpose()?,
            is_unverified_allowed: self.allow_unverified,
            proxies: Proxies {
                http: given(&self.http_proxy),
                https: given(&self.https_proxy),
                no_proxy: given(&self.no_proxy),
            },
            limits: Limits {
                bytes_max: self.size_max_bytes,
                total: Duration::from_secs(self.timeout_s),
                connect: Duration::from_secs(self.connect_timeout_s),
                idle: Duration::from_secs(self.idle_timeout_s),
                ..Limits::default()
            },
            archive_limits: archive::Limits::default(),
        })
    }
}

/// Juju sets variables it has no value for to an empty text.
fn given(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}
