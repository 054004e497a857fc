//! The three sources together: what comes out, and which line each mistake gets.

use std::io;
use std::time::Duration;

use super::*;

/// Parses with files given as (path, text); nothing else exists.
fn run(
    args: &[&str],
    environment: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Result<Request, ConfigError> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    parse(&args, &environment, &read)
}

fn config(args: &[&str], environment: &[(&str, &str)], files: &[(&str, &str)]) -> Config {
    match run(args, environment, files) {
        Ok(Request::Start(config)) => *config,
        other => panic!("expected a configuration, not {other:?}"),
    }
}

fn of_args(args: &[&str]) -> Config {
    config(args, &[], &[])
}

fn of_file(text: &str) -> Config {
    config(&["--config-file", "q.yaml"], &[], &[("q.yaml", text)])
}

fn printed(args: &[&str]) -> String {
    match run(args, &[], &[]) {
        Ok(Request::Print(text)) => text,
        other => panic!("expected text, not {other:?}"),
    }
}

/// The line and the exit code.
fn refused(args: &[&str], environment: &[(&str, &str)], files: &[(&str, &str)]) -> (String, u8) {
    match run(args, environment, files) {
        Err(error) => (error.to_string(), error.exit_code()),
        Ok(request) => panic!("expected a refusal of {args:?}, not {request:?}"),
    }
}

#[test]
fn without_flags_the_defaults_are_etcds() {
    let config = of_args(&[]);
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir, Path::new("default.etcd"));
    assert_eq!(config.urls.listen_client[0].as_str(), "http://localhost:2379");
    assert_eq!(config.founding_members[0].name, "default");
    assert_eq!(config.founding_members[0].peer_urls[0].as_str(), "http://localhost:2380");
    assert_eq!((config.timing.heartbeat_ms, config.timing.election_ms), (100, 1000));
    assert_eq!(config.limits.quota, Quota::Bytes(2 << 30));
    assert_eq!(config.limits.request_bytes_max, 1_572_864);
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
    assert_eq!(config.tuning.batch_interval, Duration::from_millis(100));
    assert_eq!(config.log.outputs, [LogOutput::Stderr]);
    assert!(config.warnings.is_empty());
    assert_eq!(config.check_bootstrap(), Ok(()));
}

#[test]
fn gos_notations_mean_the_same() {
    let spellings: [&[&str]; 4] =
        [&["-name", "a"], &["--name", "a"], &["--name=a"], &["--name", "b", "-name=a"]];
    for args in spellings {
        assert_eq!(of_args(args).name, "a", "{args:?}");
    }
    for args in [["--pre-vote=false"], ["-pre-vote=F"], ["--pre-vote=0"]] {
        assert!(!of_args(&args).timing.pre_vote, "{args:?}");
    }
    assert!(of_args(&["--socket-reuse-port", "--name", "a"]).urls.reuse_port);
}

#[test]
fn a_name_makes_the_data_directory_and_the_founder() {
    let config = of_args(&["--name", "a", "--initial-advertise-peer-urls", "http://10.0.0.1:1"]);
    assert_eq!(config.data_dir, Path::new("a.etcd"));
    assert_eq!(config.founding_members[0].name, "a");
    assert_eq!(config.check_bootstrap(), Ok(()));
}

#[test]
fn variables_and_file_say_what_flags_say() {
    let by_flag = of_args(&["--name=a", "--heartbeat-interval=50", "--log-outputs=stdout,/tmp/l"]);
    let variables = [
        ("ETCD_NAME", "a"),
        ("ETCD_HEARTBEAT_INTERVAL", "50"),
        ("ETCD_LOG_OUTPUTS", "stdout,/tmp/l"),
    ];
    assert_eq!(config(&[], &variables, &[]), by_flag);
    let yaml = "name: a\nheartbeat-interval: 50\nlog-outputs: [stdout, /tmp/l]\n";
    assert_eq!(of_file(yaml), by_flag);
    let json = r#"{"name":"a","heartbeat-interval":50,"log-outputs":["stdout","/tmp/l"]}"#;
    assert_eq!(of_file(json), by_flag);
}

#[test]
fn a_file_makes_flags_and_variables_ignored() {
    let files = [("f", "name: of-file\n")];
    let variables = [("ETCD_NAME", "of-variable"), ("ETCD_HEARTBEAT_INTERVAL", "x")];
    let args = ["--config-file=f", "--election-timeout=x", "--name=of-flag"];
    let of_file = config(&args, &variables, &files);
    assert_eq!(of_file.name, "of-file");
    let ignored = ["election-timeout", "name"]
        .map(|name| format!("flag --{name} is ignored: all settings come from f"));
    assert_eq!(of_file.warnings, ignored);
    assert_eq!(config(&[], &[("ETCD_CONFIG_FILE", "f")], &files).name, "of-file");
}

#[test]
fn durations_in_a_file_are_nanoseconds_or_have_a_unit() {
    let config = of_file("grpc-keepalive-interval: 5000000000\nwarning-apply-duration: 7ms\n");
    assert_eq!(config.keepalive.interval, Some(Duration::from_secs(5)));
    assert_eq!(config.slow.apply, Duration::from_millis(7));
}

#[test]
fn a_sample_file_with_empty_and_default_values_is_accepted() {
    let config = of_file(
        "name: 'default'\ndata-dir:\nwal-dir:\ninitial-cluster:\ndiscovery-fallback: 'exit'\n\
         proxy: 'off'\nproxy-failure-wait: 5000\ncors:\nquota-backend-bytes: 0\n\
         client-transport-security:\n  cert-file:\n  client-cert-auth: false\n  auto-tls: false\n\
         peer-transport-security:\n  key-file:\n  trusted-ca-file: ''\nforce-new-cluster: false\n\
         listen-client-urls: http://localhost:2379\n\
         socket-options:\n  reuse-port: true\nself-signed-cert-validity: 1\n",
    );
    assert_eq!((config.warnings, config.urls.reuse_port), (vec![], true));
    assert_eq!(config.data_dir, Path::new("default.etcd"));
}

#[test]
fn retention_is_hours_a_duration_or_revisions() {
    let hours = of_args(&["--auto-compaction-retention=2"]);
    assert_eq!(hours.auto_compaction, AutoCompaction::Periodic(Duration::from_secs(7200)));
    let minutes = of_args(&["--auto-compaction-retention=5m"]);
    assert_eq!(minutes.auto_compaction, AutoCompaction::Periodic(Duration::from_secs(300)));
    let mode = "--auto-compaction-mode=revision";
    let revisions = of_args(&[mode, "--auto-compaction-retention=1000"]);
    assert_eq!(revisions.auto_compaction, AutoCompaction::Revisions(1000));
}

#[test]
fn numbers_have_their_meanings_at_the_edges() {
    assert_eq!(of_args(&["--quota-backend-bytes=-1"]).limits.quota, Quota::Unlimited);
    assert_eq!(of_args(&["--quota-backend-bytes=0x10"]).limits.quota, Quota::Bytes(16));
    assert_eq!(of_args(&["--grpc-keepalive-interval=0"]).keepalive.interval, None);
    assert_eq!(of_args(&["--value-cache-bytes=7"]).tuning.value_cache_bytes, 7);
    assert_eq!(of_args(&["--log-level=fatal"]).log.level, LogLevel::Error);
    assert_eq!(of_args(&["--debug"]).log.level, LogLevel::Debug);
}

#[test]
fn the_value_cache_is_a_quarter_of_the_memory_unless_set() {
    let files = [("/proc/meminfo", "MemTotal: 4000 kB\n")];
    assert_eq!(config(&[], &[], &files).tuning.value_cache_bytes, 1_024_000);
}

#[test]
fn the_first_line_of_the_version_is_etcds() {
    for args in [["--version"], ["-version"], ["--version=true"]] {
        let text = printed(&args);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("etcd Version: 3.7.1"));
        assert!(lines.next().is_some_and(|line| line.starts_with("quorate Version: ")));
    }
}

#[test]
fn help_names_every_flag_under_its_group() {
    for args in [["--help"], ["-help"], ["-h"]] {
        let text = printed(&args);
        for flag in flags::all() {
            assert!(text.contains(&format!("--{}", flag.name)), "--{}", flag.name);
        }
        for group in flags::Group::ALL {
            assert!(text.contains(&format!("{}:\n", group.title())), "{group:?}");
        }
        assert!(text.contains("--config-file") && text.contains("--version"));
    }
}

#[test]
fn what_has_no_effect_is_accepted_with_a_warning() {
    let cases = [
        (
            "--max-wals=7",
            "flag --max-wals has no effect: log segments are recycled, their number follows \
             --snapshot-count",
        ),
        (
            "--experimental-compaction-batch-limit=9",
            "flag --experimental-compaction-batch-limit is an earlier name: use \
             --compaction-batch-limit",
        ),
    ];
    for (arg, warning) in cases {
        assert_eq!(of_args(&[arg]).warnings, [warning]);
    }
    let renamed = of_args(&["--experimental-compaction-batch-limit=9"]);
    assert_eq!(renamed.tuning.compaction_rows_max, 9);
    let unknown = config(&[], &[("ETCD_BOGUS", "1"), ("PATH", "x"), ("ETCD_NAME", "")], &[]);
    assert_eq!(unknown.warnings, ["unrecognized environment variable ETCD_BOGUS"]);
    assert_eq!(of_file("bogus: 1\n").warnings, ["unrecognized key bogus in q.yaml"]);
}

#[test]
fn every_flag_that_is_not_available_accepts_its_default_and_refuses_the_rest() {
    use flags::{Kind, Status};
    for flag in flags::all() {
        let (Status::Later(reason) | Status::Refused(reason)) = flag.status else { continue };
        let other = match flag.kind {
            Kind::Bool if flag.default == "true" => "false",
            Kind::Bool => "true",
            Kind::Integer { .. } | Kind::Milliseconds { .. } => "17",
            Kind::Duration => "17s",
            Kind::Choice(words) => words.iter().rfind(|word| **word != flag.default).unwrap(),
            Kind::Text | Kind::List | Kind::Urls => "http://127.0.0.1:1",
        };
        let default = format!("--{}={}", flag.name, flag.default);
        assert!(run(&[&default], &[], &[]).is_ok(), "{default}");
        let expected = (format!("flag --{}: {reason}", flag.name), 1);
        assert_eq!(refused(&[&format!("--{}={other}", flag.name)], &[], &[]), expected);
    }
}

#[test]
fn each_mistake_on_the_line_gets_its_line() {
    let cases: &[(&[&str], u8, &str)] = &[
        (&["--bogus"], 2, "flag provided but not defined: --bogus; quorate --help lists the flags"),
        (
            &["--nane=a"],
            2,
            "flag provided but not defined: --nane; did you mean --name?; quorate --help lists \
             the flags",
        ),
        (&["--name"], 2, "flag needs an argument: --name"),
        (&["--config-file"], 2, "flag needs an argument: --config-file"),
        (&["extra"], 1, "\"extra\" is not a flag; quorate --help lists the flags"),
        (
            &["--pre-vote", "false"],
            1,
            "\"false\" is not a flag; join it to its flag, as in --pre-vote=false; quorate --help \
             lists the flags",
        ),
        (&["--name="], 2, "invalid value \"\" for flag --name: expected a name"),
        (
            &["gateway", "start", "--endpoints=x"],
            1,
            "command gateway: the TCP gateway is not available in this release yet",
        ),
        (
            &["--heartbeat-interval=abc"],
            2,
            "invalid value \"abc\" for flag --heartbeat-interval: expected a whole number of \
             milliseconds",
        ),
        (
            &["--heartbeat-interval=0"],
            2,
            "invalid value \"0\" for flag --heartbeat-interval: expected a whole number of \
             milliseconds from 1 to 50000",
        ),
        (
            &["--election-timeout=60000"],
            2,
            "invalid value \"60000\" for flag --election-timeout: expected a whole number of \
             milliseconds from 1 to 50000",
        ),
        (
            &["--election-timeout=300"],
            1,
            "--election-timeout[300ms] must be at least 5 times --heartbeat-interval[100ms]",
        ),
        (
            &["--pre-vote=maybe"],
            2,
            "invalid value \"maybe\" for flag --pre-vote: expected true or false",
        ),
        (
            &["--initial-cluster-state=foo"],
            2,
            "invalid value \"foo\" for flag --initial-cluster-state: expected new or existing",
        ),
        (
            &["--listen-peer-urls=foo"],
            2,
            "invalid value \"foo\" for flag --listen-peer-urls: a URL starts with http://, \
             https://, unix:// or unixs://: foo",
        ),
        (
            &["--listen-peer-urls=http://example.com:1"],
            2,
            "invalid value \"http://example.com:1\" for flag --listen-peer-urls: expected an IP \
             address or localhost to listen on in http://example.com:1",
        ),
        (
            &["--listen-peer-urls="],
            2,
            "invalid value \"\" for flag --listen-peer-urls: expected at least one URL",
        ),
        (
            &["--listen-peer-urls=https://127.0.0.1:1"],
            1,
            "flag --listen-peer-urls has https://127.0.0.1:1: TLS is not available in this \
             release yet",
        ),
        (
            &["--listen-metrics-urls=unix://a:1"],
            1,
            "flag --listen-metrics-urls has unix://a:1: unix sockets are not available in this \
             release yet",
        ),
        (
            &["--listen-client-urls=http://127.0.0.1:1"],
            1,
            "--advertise-client-urls is required when --listen-client-urls is set explicitly: \
             clients must be told an address that reaches this member (set by flag \
             --listen-client-urls)",
        ),
        (
            &["--advertise-client-urls=http://:1"],
            2,
            "invalid value \"http://:1\" for flag --advertise-client-urls: expected a host that \
             others can reach in http://:1",
        ),
        (
            &["--initial-cluster=a"],
            2,
            "invalid value \"a\" for flag --initial-cluster: expected name=url,name=url but \
             \"a\" has no =",
        ),
        (
            &["--auto-compaction-retention=abc"],
            2,
            "invalid value \"abc\" for flag --auto-compaction-retention: expected a number of \
             hours, or a duration such as 5m or 1h30m",
        ),
        (
            &["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"],
            2,
            "invalid value \"1h\" for flag --auto-compaction-retention: expected a number of \
             revisions, as --auto-compaction-mode says",
        ),
        (
            &["--log-level=loud"],
            2,
            "invalid value \"loud\" for flag --log-level: expected debug, info, warn, error, \
             dpanic, panic or fatal",
        ),
        (
            &["--log-outputs=default,stdout"],
            2,
            "invalid value \"default,stdout\" for flag --log-outputs: default stands alone",
        ),
        (
            &["--log-outputs="],
            2,
            "invalid value \"\" for flag --log-outputs: expected stderr, stdout or file paths",
        ),
        (
            &["--watch-progress-notify-interval=0"],
            2,
            "invalid value \"0\" for flag --watch-progress-notify-interval: expected more than 0",
        ),
        (&["--unsafe-no-fsync"], 1, "flag --unsafe-no-fsync: an answer means the write is on disk"),
        (
            &["--max-learners=2", "--experimental-max-learners=3"],
            1,
            "flag --experimental-max-learners and flag --max-learners are two names of one \
             setting and have different values; keep flag --max-learners",
        ),
    ];
    for (args, code, line) in cases {
        assert_eq!(refused(args, &[], &[]), ((*line).to_owned(), *code), "{args:?}");
    }
}

#[test]
fn each_mistake_in_the_environment_gets_its_line() {
    let conflict = "environment variable ETCD_NAME conflicts with flag --name: unset one of them \
                    (a variable never overrides a flag, and is not silently ignored)";
    assert_eq!(refused(&["--name=a"], &[("ETCD_NAME", "a")], &[]), (conflict.to_owned(), 1));
    let value = "invalid value \"x\" for environment variable ETCD_HEARTBEAT_INTERVAL: expected a \
                 whole number of milliseconds";
    assert_eq!(refused(&[], &[("ETCD_HEARTBEAT_INTERVAL", "x")], &[]), (value.to_owned(), 1));
    let later = "environment variable ETCD_CERT_FILE: TLS is not available in this release yet";
    assert_eq!(refused(&[], &[("ETCD_CERT_FILE", "x")], &[]), (later.to_owned(), 1));
}

#[test]
fn each_mistake_in_the_file_gets_its_line() {
    let cases = [
        (
            "heartbeat-interval: abc\n",
            "invalid value \"abc\" for key heartbeat-interval in q.yaml: expected a whole number \
             of milliseconds",
        ),
        (
            "name: {a: b}\n",
            "invalid value \"{\\\"a\\\":\\\"b\\\"}\" for key name in q.yaml: expected one plain \
             value or a list of them",
        ),
        (
            "peer-transport-security:\n  cert-file: x\n",
            "key peer-transport-security.cert-file in q.yaml: TLS is not available in this \
             release yet",
        ),
        (
            "peer-transport-security:\n  allowed-cn: [x]\n",
            "key peer-transport-security.allowed-cn in q.yaml: TLS is not available in this \
             release yet",
        ),
        (
            "client-transport-security: 3\n",
            "invalid value \"3\" for key client-transport-security in q.yaml: expected a mapping",
        ),
        ("- a\n", "config file q.yaml: expected a mapping of flag names to values"),
    ];
    for (text, line) in cases {
        let refusal = refused(&["--config-file=q.yaml"], &[], &[("q.yaml", text)]);
        assert_eq!(refusal, (line.to_owned(), 1), "{text}");
    }
    let (line, code) = refused(&["--config-file=q.yaml"], &[], &[("q.yaml", "name: [\n")]);
    assert!(line.starts_with("config file q.yaml: ") && line.contains("line 2"), "{line}");
    assert!(code == 1 && !line.contains('\n'), "{line}");
    let missing = refused(&["--config-file=none"], &[], &[]);
    assert_eq!(missing, ("config file none: entity not found".to_owned(), 1));
}

#[test]
fn an_empty_data_directory_needs_a_fitting_initial_cluster() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--name=a", "--initial-cluster=b=http://localhost:2380"],
            "couldn't find local name \"a\" in the initial cluster configuration: --name must be \
             one of the names in --initial-cluster",
        ),
        (
            &["--name=a", "--initial-cluster=a=http://localhost:2381"],
            "--initial-cluster has a=http://localhost:2381 but missing from \
             --initial-advertise-peer-urls=http://localhost:2380",
        ),
        (
            &["--name=a", "--initial-cluster=a=http://localhost:2380,b=http://localhost:2380"],
            "--initial-cluster has duplicate url http://localhost:2380",
        ),
        (
            &[
                "--name=a",
                "--initial-advertise-peer-urls=http://localhost:2380,http://localhost:2381",
                "--initial-cluster=a=http://localhost:2380",
            ],
            "--initial-advertise-peer-urls has http://localhost:2381 but missing from \
             --initial-cluster=a=http://localhost:2380",
        ),
    ];
    for (args, line) in cases {
        let error = of_args(args).check_bootstrap().unwrap_err();
        assert_eq!((error.to_string(), error.exit_code()), (line.to_owned(), 1));
    }
}

#[test]
fn a_joining_member_need_not_repeat_its_addresses() {
    let cluster = "--initial-cluster=a=http://10.0.0.9:1,b=http://10.0.0.8:1";
    let config = of_args(&["--name=a", cluster, "--initial-cluster-state=existing"]);
    assert_eq!(config.check_bootstrap(), Ok(()));
}

#[test]
fn seeds_make_a_member_join_by_itself() {
    assert_eq!(of_args(&["--initial-cluster-state=existing"]).join, None);
    assert_eq!(of_args(&["--join-seeds=", "--join-seeds-file="]).join, None, "empty is not given");
    let config = of_args(&["--name=a", "--join-seeds=http://b:2380,http://a:2380"]);
    let urls = Url::parse_list("http://a:2380,http://b:2380").unwrap();
    assert_eq!(config.join, Some(JoinSeeds { urls, file: None }));
    let variables = [("ETCD_JOIN_SEEDS_FILE", "/etc/seeds")];
    let file = Some("/etc/seeds".into());
    assert_eq!(config_of(&variables).join, Some(JoinSeeds { urls: Vec::new(), file }));
    let config = of_file("join-seeds: http://a:2380\nadmin-socket: /run/admin.sock\n");
    assert!(config.join.is_some());
    assert_eq!(config.admin_socket, Some("/run/admin.sock".into()));
    assert_eq!(of_args(&[]).admin_socket, None);
}

fn config_of(variables: &[(&str, &str)]) -> Config {
    config(&[], variables, &[])
}

#[test]
fn one_that_joins_by_seeds_need_not_be_listed() {
    let existing = ["--name=a", "--initial-cluster-state=existing"];
    let (seeds, others) = ("--join-seeds=http://b:1", "--initial-cluster=b=http://b:1");
    let check = |more: &[&str]| of_args(&[&existing[..], more].concat()).check_bootstrap();
    assert_eq!(check(&[seeds]), Ok(()));
    assert_eq!(check(&[seeds, "--initial-cluster="]), Ok(()));
    assert_eq!(check(&[seeds, others]), Ok(()));
    assert!(check(&[others]).is_err(), "without seeds the rule is etcd's");
    let founding = of_args(&["--name=a", seeds, others]).check_bootstrap();
    assert!(founding.is_err(), "a founder is listed, seeds or not");
}

#[test]
fn check_reads_what_a_start_would_and_starts_nothing() {
    let checked = |args: &[&str], variables: &[(&str, &str)]| run(args, variables, &[]);
    match checked(&["check", "--name=a"], &[("ETCD_DATA_DIR", "d")]) {
        Ok(Request::Check(config)) => {
            assert_eq!((config.name.as_str(), config.data_dir.as_path()), ("a", Path::new("d")));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(checked(&["check", "--help"], &[]), Ok(Request::Print(_))));
    for (args, variables) in [
        (&["--heartbeat-interval=x"][..], &[][..]),
        (&[], &[("ETCD_HEARTBEAT_INTERVAL", "x")]),
        (&["--name=a"], &[("ETCD_NAME", "a")]),
        (&["--no-such-flag"], &[]),
        (&["again"], &[]),
    ] {
        let expected = refused(args, variables, &[]);
        assert_eq!(refused(&[&["check"], args].concat(), variables, &[]), expected, "{args:?}");
    }
}

#[test]
fn the_admin_command_finds_the_socket_where_the_member_does() {
    let variables = [("ETCD_ADMIN_SOCKET", "/run/admin.sock"), ("ETCD_HEARTBEAT_INTERVAL", "x")];
    match run(&["admin", "status"], &variables, &[]) {
        Ok(Request::Admin(command)) => {
            assert_eq!(command.socket, Path::new("/run/admin.sock"));
        }
        other => panic!("{other:?}"),
    }
    let (line, code) = refused(&["admin", "status"], &[("ETCD_ADMIN_SOCKET", "")], &[]);
    let expected = "which member? name its socket with --socket or ETCD_ADMIN_SOCKET";
    assert_eq!((line.as_str(), code), (expected, 2));
}

#[test]
fn localhost_and_its_address_are_the_same_place() {
    let args = ["--name=a", "--initial-cluster=a=http://127.0.0.1:2380"];
    assert_eq!(of_args(&args).check_bootstrap(), Ok(()));
}
