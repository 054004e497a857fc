//! From settings to the typed configuration, with the checks that need more than one flag.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::flags;
use super::settings::Settings;
use super::types::{
    AutoCompaction, ClusterState, Config, JoinSeeds, Keepalive, Limits, LogConfig, LogFormat,
    LogLevel, LogOutput, Quota, SlowRequests, Timing, Tuning, Urls,
};
use super::url::{Scheme, Url};
use super::value::Value;
use super::{ReadFile, bootstrap, duration, memory};

/// etcd's default quota.
const QUOTA_DEFAULT_BYTES: u64 = 2 << 30;
/// What `--backend-batch-interval` 0 stands for.
const BATCH_INTERVAL_DEFAULT: Duration = Duration::from_millis(100);
/// What `--backend-batch-limit` 0 stands for.
const BATCH_ROWS_DEFAULT: usize = 10_000;
/// More sinks than this are a mistake; each has a thread.
const LOG_OUTPUTS_MAX: usize = 8;
const HOUR_NS: u64 = 3_600_000_000_000;

/// Builds the configuration.
pub(super) fn build(
    mut settings: Settings,
    read_file: ReadFile<'_>,
) -> Result<Config, ConfigError> {
    settings.settle()?;
    let get = Getter { settings: &settings };
    let name = get.text("name")?;
    if name.is_empty() {
        return Err(settings.invalid("name", "expected a name".into()));
    }
    let urls = urls(&get)?;
    let founding_members = founding_members(&get, &name, &urls)?;
    let cluster_state = match get.text("initial-cluster-state")?.as_str() {
        "existing" => ClusterState::Existing,
        _ => ClusterState::New,
    };
    Ok(Config {
        data_dir: data_dir(&get, &name),
        name,
        urls,
        founding_members,
        cluster_state,
        cluster_token: get.text("initial-cluster-token")?,
        join: join_seeds(&get)?,
        admin_socket: get.path("admin-socket")?,
        strict_reconfig_check: get.bool("strict-reconfig-check")?,
        timing: timing(&get)?,
        limits: limits(&get)?,
        keepalive: Keepalive {
            min_time: get.duration("grpc-keepalive-min-time")?,
            interval: get.duration_or_never("grpc-keepalive-interval")?,
            timeout: get.duration_or_never("grpc-keepalive-timeout")?,
        },
        auto_compaction: auto_compaction(&get)?,
        tuning: tuning(&get, read_file)?,
        slow: SlowRequests {
            apply: get.duration("warning-apply-duration")?,
            unary: get.duration("warning-unary-request-duration")?,
        },
        extensive_metrics: get.text("metrics")? == "extensive",
        watch_progress_interval: get.positive_duration("watch-progress-notify-interval")?,
        log: log(&get)?,
        warnings: std::mem::take(&mut settings.warnings),
    })
}

fn data_dir(get: &Getter<'_>, name: &str) -> PathBuf {
    match get.settings.text("data-dir") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from(format!("{name}.etcd")),
    }
}

fn urls(get: &Getter<'_>) -> Result<Urls, ConfigError> {
    // etcd asks this of flags and variables only, and files in use rely on it.
    let listen_given = get.settings.is_given("listen-client-urls");
    if listen_given
        && !get.settings.are_from_file()
        && !get.settings.is_given("advertise-client-urls")
    {
        return Err(ConfigError::Rule(format!(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly: \
             clients must be told an address that reaches this member (set by {})",
            get.settings.place("listen-client-urls")
        )));
    }
    Ok(Urls {
        listen_peer: get.listen("listen-peer-urls")?,
        listen_client: get.listen("listen-client-urls")?,
        listen_metrics: get.listen("listen-metrics-urls")?,
        advertise_peer: get.advertise("initial-advertise-peer-urls", &[Scheme::Http])?,
        // A proxy in front of this member may well speak TLS.
        advertise_client: get.advertise("advertise-client-urls", &[Scheme::Http, Scheme::Https])?,
        reuse_port: get.bool("socket-reuse-port")?,
        reuse_address: get.bool("socket-reuse-address")?,
    })
}

/// Without `--initial-cluster` this member is alone, under its own name and addresses.
fn founding_members(
    get: &Getter<'_>,
    name: &str,
    urls: &Urls,
) -> Result<Vec<super::FoundingMember>, ConfigError> {
    let flag = "initial-cluster";
    match get.settings.text(flag) {
        Some(text) => {
            bootstrap::parse(text).map_err(|expected| get.settings.invalid(flag, expected))
        }
        None => Ok(vec![super::FoundingMember {
            name: name.to_owned(),
            peer_urls: urls.advertise_peer.clone(),
        }]),
    }
}

/// Either flag turns joining on; an empty one counts as not given, as for every variable.
fn join_seeds(get: &Getter<'_>) -> Result<Option<JoinSeeds>, ConfigError> {
    let urls = get.reachable("join-seeds", &[Scheme::Http])?;
    let file = get.path("join-seeds-file")?;
    let is_on = !urls.is_empty() || file.is_some();
    Ok(is_on.then_some(JoinSeeds { urls, file }))
}

fn timing(get: &Getter<'_>) -> Result<Timing, ConfigError> {
    let timing = Timing {
        heartbeat_ms: get.count("heartbeat-interval")?,
        election_ms: get.count("election-timeout")?,
        initial_election_advance: get.bool("initial-election-tick-advance")?,
        pre_vote: get.bool("pre-vote")?,
    };
    if timing.election_ms < 5 * timing.heartbeat_ms {
        return Err(ConfigError::Rule(format!(
            "--election-timeout[{}ms] must be at least 5 times --heartbeat-interval[{}ms]",
            timing.election_ms, timing.heartbeat_ms
        )));
    }
    Ok(timing)
}

fn limits(get: &Getter<'_>) -> Result<Limits, ConfigError> {
    let quota = match get.integer("quota-backend-bytes")? {
        0 => Quota::Bytes(QUOTA_DEFAULT_BYTES),
        bytes => u64::try_from(bytes).map_or(Quota::Unlimited, Quota::Bytes),
    };
    Ok(Limits {
        quota,
        request_bytes_max: get.size("max-request-bytes")?,
        txn_ops_max: get.size("max-txn-ops")?,
        concurrent_streams_max: u32::try_from(get.count("max-concurrent-streams")?)
            .unwrap_or(u32::MAX),
        learners_max: get.size("max-learners")?,
    })
}

fn tuning(get: &Getter<'_>, read_file: ReadFile<'_>) -> Result<Tuning, ConfigError> {
    let batch_interval = get.duration_or_never("backend-batch-interval")?;
    let batch_rows = get.size("backend-batch-limit")?;
    let value_cache_bytes = match get.count("value-cache-bytes")? {
        0 => memory::available_bytes(read_file) / 4,
        bytes => bytes,
    };
    Ok(Tuning {
        snapshot_count: get.count("snapshot-count")?,
        snapshot_catchup_entries: get.count("snapshot-catchup-entries")?,
        batch_interval: batch_interval.unwrap_or(BATCH_INTERVAL_DEFAULT),
        batch_rows_max: if batch_rows == 0 { BATCH_ROWS_DEFAULT } else { batch_rows },
        compaction_rows_max: get.size("compaction-batch-limit")?,
        compaction_pause: get.duration("compaction-sleep-interval")?,
        value_cache_bytes,
    })
}

/// A bare number is hours, as in etcd; with `revision` it is revisions.
fn auto_compaction(get: &Getter<'_>) -> Result<AutoCompaction, ConfigError> {
    let flag = "auto-compaction-retention";
    let text = get.text(flag)?;
    let invalid = |expected: &str| get.settings.invalid(flag, expected.to_owned());
    if get.text("auto-compaction-mode")? == "revision" {
        return match text.parse::<u64>() {
            Ok(0) => Ok(AutoCompaction::Off),
            Ok(revisions) if i64::try_from(revisions).is_ok() => {
                Ok(AutoCompaction::Revisions(revisions))
            }
            _ => Err(invalid("expected a number of revisions, as --auto-compaction-mode says")),
        };
    }
    let nanoseconds = match text.parse::<u64>() {
        Ok(hours) => hours.checked_mul(HOUR_NS),
        Err(_) => duration::parse(&text).and_then(|parsed| u64::try_from(parsed).ok()),
    };
    match nanoseconds {
        Some(0) => Ok(AutoCompaction::Off),
        Some(nanoseconds) => Ok(AutoCompaction::Periodic(Duration::from_nanos(nanoseconds))),
        None => Err(invalid("expected a number of hours, or a duration such as 5m or 1h30m")),
    }
}

fn log(get: &Getter<'_>) -> Result<LogConfig, ConfigError> {
    get.text("logger")?;
    let level = match get.text("log-level")?.as_str() {
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        _ => LogLevel::Error,
    };
    let format = match get.text("log-format")?.as_str() {
        "console" => LogFormat::Console,
        _ => LogFormat::Json,
    };
    // 3.4's --debug is another name of the lowest level.
    let level = if get.bool("debug")? { LogLevel::Debug } else { level };
    Ok(LogConfig { level, format, outputs: log_outputs(get)? })
}

fn log_outputs(get: &Getter<'_>) -> Result<Vec<LogOutput>, ConfigError> {
    let flag = "log-outputs";
    let invalid = |expected: String| get.settings.invalid(flag, expected);
    let words = get.list(flag)?;
    if words.is_empty() {
        return Err(invalid("expected stderr, stdout or file paths".into()));
    }
    if words.len() > LOG_OUTPUTS_MAX {
        return Err(invalid(format!("expected at most {LOG_OUTPUTS_MAX} outputs")));
    }
    if words.len() > 1 && words.iter().any(|word| word == "default") {
        return Err(invalid("default stands alone".into()));
    }
    let mut outputs = Vec::with_capacity(words.len());
    for word in words {
        let output = match word.as_str() {
            "default" | "stderr" | "/dev/stderr" => LogOutput::Stderr,
            "stdout" | "/dev/stdout" => LogOutput::Stdout,
            "systemd/journal" => {
                return Err(ConfigError::Unavailable {
                    place: get.settings.place(flag),
                    reason: "writing to the journal's socket is not available in this release \
                             yet; under systemd stderr reaches the journal"
                        .into(),
                });
            }
            path => LogOutput::File(PathBuf::from(path)),
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    Ok(outputs)
}

/// Typed access by flag name. Asking for a flag that is not in the tables, or as another kind, is
/// a bug of this file that every test would meet.
struct Getter<'a> {
    settings: &'a Settings,
}

impl Getter<'_> {
    fn value(&self, name: &str) -> Result<Value, ConfigError> {
        let flag = flags::find(name).expect("build.rs only asks for flags of the tables");
        self.settings.value(flag)
    }

    fn text(&self, name: &str) -> Result<String, ConfigError> {
        match self.value(name)? {
            Value::Text(text) => Ok(text),
            other => unreachable!("--{name} is text, not {other:?}"),
        }
    }

    /// Empty is `None`.
    fn path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        let text = self.text(name)?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn bool(&self, name: &str) -> Result<bool, ConfigError> {
        match self.value(name)? {
            Value::Bool(value) => Ok(value),
            other => unreachable!("--{name} is true or false, not {other:?}"),
        }
    }

    fn integer(&self, name: &str) -> Result<i64, ConfigError> {
        match self.value(name)? {
            Value::Integer(number) => Ok(number),
            other => unreachable!("--{name} is a number, not {other:?}"),
        }
    }

    fn count(&self, name: &str) -> Result<u64, ConfigError> {
        let number = self.integer(name)?;
        u64::try_from(number)
            .map_err(|_| self.settings.invalid(name, "expected a number from 0 on".into()))
    }

    fn size(&self, name: &str) -> Result<usize, ConfigError> {
        let number = self.count(name)?;
        usize::try_from(number)
            .map_err(|_| self.settings.invalid(name, "too large for this machine".into()))
    }

    fn list(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        match self.value(name)? {
            Value::List(words) => Ok(words),
            other => unreachable!("--{name} is a list, not {other:?}"),
        }
    }

    fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        match self.value(name)? {
            Value::Duration(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
            other => unreachable!("--{name} is a duration, not {other:?}"),
        }
    }

    /// Zero is `None`.
    fn duration_or_never(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(Some(self.duration(name)?).filter(|duration| !duration.is_zero()))
    }

    fn positive_duration(&self, name: &str) -> Result<Duration, ConfigError> {
        self.duration_or_never(name)?
            .ok_or_else(|| self.settings.invalid(name, "expected more than 0".into()))
    }

    fn urls(&self, name: &str) -> Result<Vec<Url>, ConfigError> {
        match self.value(name)? {
            Value::Urls(urls) => Ok(urls),
            other => unreachable!("--{name} is a list of URLs, not {other:?}"),
        }
    }

    fn check_schemes(
        &self,
        name: &str,
        urls: &[Url],
        accepted: &[Scheme],
    ) -> Result<(), ConfigError> {
        let Some(url) = urls.iter().find(|url| !accepted.contains(&url.scheme())) else {
            return Ok(());
        };
        let reason = match url.scheme() {
            Scheme::Unix | Scheme::Unixs => "unix sockets are not available in this release yet",
            Scheme::Http | Scheme::Https => "TLS is not available in this release yet",
        };
        let place = format!("{} has {url}", self.settings.place(name));
        Err(ConfigError::Unavailable { place, reason: reason.into() })
    }

    /// Addresses to bind: a socket cannot be bound to a name that may stand for several hosts.
    fn listen(&self, name: &str) -> Result<Vec<Url>, ConfigError> {
        let urls = self.urls(name)?;
        self.check_schemes(name, &urls, &[Scheme::Http])?;
        if let Some(url) = urls.iter().find(|url| !url.can_be_bound()) {
            let expected = format!("expected an IP address or localhost to listen on in {url}");
            return Err(self.settings.invalid(name, expected));
        }
        if urls.is_empty() && name != "listen-metrics-urls" {
            return Err(self.settings.invalid(name, "expected at least one URL".into()));
        }
        Ok(urls)
    }

    /// Addresses that somebody connects to; maybe none.
    fn reachable(&self, name: &str, accepted: &[Scheme]) -> Result<Vec<Url>, ConfigError> {
        let urls = self.urls(name)?;
        self.check_schemes(name, &urls, accepted)?;
        if let Some(url) = urls.iter().find(|url| url.host().is_empty()) {
            let expected = format!("expected a host that others can reach in {url}");
            return Err(self.settings.invalid(name, expected));
        }
        Ok(urls)
    }

    /// Addresses for others to connect to.
    fn advertise(&self, name: &str, accepted: &[Scheme]) -> Result<Vec<Url>, ConfigError> {
        let urls = self.reachable(name, accepted)?;
        if urls.is_empty() {
            return Err(self.settings.invalid(name, "expected at least one URL".into()));
        }
        Ok(urls)
    }
}
