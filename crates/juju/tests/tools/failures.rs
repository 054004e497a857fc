//! Tools that are missing, fail, hang or talk too much.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fake::Fake;
use juju::{Changes, Error, RelationId, Scope, Status, Tools};

fn cluster() -> RelationId {
    "cluster:3".parse().unwrap()
}

#[test]
fn a_tool_that_does_not_exist_is_not_supported() {
    let error = Fake::new().tools().is_leader().unwrap_err();
    assert!(matches!(error, Error::Missing { tool: "is-leader" }), "{error:?}");
    assert!(error.is_not_supported());
    assert!(error.to_string().starts_with("hook tool `is-leader` does not exist here"), "{error}");
}

#[test]
fn a_command_the_agent_does_not_know_is_not_supported() {
    let fake = Fake::new().failing("is-leader", 1, "ERROR bad request: unknown command\n");
    assert!(fake.tools().is_leader().unwrap_err().is_not_supported());
    let fake = Fake::new().failing("is-leader", 1, "ERROR connection is shut down\n");
    assert!(!fake.tools().is_leader().unwrap_err().is_not_supported());
}

#[test]
fn a_file_that_cannot_be_run_is_not_a_missing_tool() {
    let fake = Fake::new();
    fs::write(fake.path().join("is-leader"), "no program").unwrap();
    let error = fake.tools().is_leader().unwrap_err();
    assert!(matches!(error, Error::NotRun { tool: "is-leader", .. }), "{error:?}");
    assert!(!error.is_not_supported());
}

#[test]
fn an_error_carries_arguments_code_and_the_tools_words_on_one_line() {
    let fake = Fake::new().failing("relation-set", 2, "ERROR cannot write\nrelation settings\n");
    let changes: Changes = [("key".to_owned(), Some("s3cret".to_owned()))].into();
    let error = fake.tools().relation_set(&cluster(), Scope::App, &changes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hook tool `relation-set -r cluster:3 --app --file -` failed with exit code 2: ERROR cannot \
         write; relation settings"
    );
    assert_eq!(error.tool(), "relation-set");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn results_of_actions_are_left_out_of_errors_and_long_arguments_cut() {
    let fake = Fake::new().failing("action-set", 1, "ERROR no").failing("status-set", 1, "");
    let results = BTreeMap::from([("password".to_owned(), "s3cret".to_owned())]);
    let error = fake.tools().action_set(&results).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    assert!(error.to_string().contains("`action-set password=…` failed"), "{error}");

    let message = "x".repeat(1000);
    let error = fake.tools().status_set(Scope::Unit, Status::Active, &message).unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
    assert!(error.to_string().ends_with("it gave no reason"), "{error}");
}

#[test]
fn a_tool_killed_by_a_signal_has_no_exit_code() {
    let fake = Fake::new().running("is-leader", "#!/bin/sh\nkill -9 $$\n");
    let error = fake.tools().is_leader().unwrap_err();
    assert!(matches!(error, Error::Failed { code: None, .. }), "{error:?}");
    assert!(error.to_string().contains("was killed by a signal"), "{error}");
}

#[test]
fn foreign_bytes_are_an_error_in_answers_and_replaced_in_errors() {
    let fake = Fake::new().answering("config-get", b"{\"a\":\"\xff\"}");
    let error = fake.tools().config_get().unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { tool: "config-get", .. }), "{error:?}");

    let fake = Fake::new().failing("config-get", 1, b"ERROR \xff\n");
    let error = fake.tools().config_get().unwrap_err();
    assert!(error.to_string().ends_with("ERROR \u{fffd}"), "{error}");
}

#[test]
fn output_up_to_the_bound_is_read_and_beyond_it_stops_the_tool() {
    let fake = Fake::new().answering("is-leader", "true\n");
    assert!(fake.tools().with_output_bytes_max(5).is_leader().unwrap());
    let error = fake.tools().with_output_bytes_max(4).is_leader().unwrap_err();
    assert!(matches!(error, Error::TooMuchOutput { bytes_max: 4, .. }), "{error:?}");

    let endless = "#!/bin/sh\nexec cat /dev/zero\n";
    let error = Fake::new().running("is-leader", endless).tools().is_leader().unwrap_err();
    assert!(matches!(error, Error::TooMuchOutput { .. }), "{error:?}");
}

#[test]
fn a_tool_that_ignores_that_nobody_listens_is_stopped_too() {
    let deaf = "#!/bin/sh\ntrap '' PIPE\necho 'too long'\nexec sleep 60\n";
    let fake = Fake::new().running("is-leader", deaf);
    let started = Instant::now();
    let error = fake.tools().with_output_bytes_max(4).is_leader().unwrap_err();
    assert!(matches!(error, Error::TooMuchOutput { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn of_a_flood_of_errors_the_start_is_kept() {
    let flood =
        "#!/bin/sh\necho ERROR first >&2\nhead -c 1000000 /dev/zero | tr '\\0' x >&2\nexit 1\n";
    let error = Fake::new().running("is-leader", flood).tools().is_leader().unwrap_err();
    let Error::Failed { stderr, .. } = error else { panic!("{error:?}") };
    assert!(stderr.starts_with("ERROR first\nxxx"), "{stderr:.20}");
    assert!(stderr.len() <= 16 * 1024, "{} bytes", stderr.len());
}

#[test]
fn a_tool_that_hangs_is_stopped_and_gone() {
    let hang = "#!/bin/sh\necho $$ >\"$0.pid\"\nexec sleep 60\n";
    let fake = Fake::new().running("is-leader", hang);
    let time_max = Duration::from_secs(2);
    let error = fake.tools().with_time_max(time_max).is_leader().unwrap_err();
    assert!(matches!(error, Error::TimedOut { tool: "is-leader", .. }), "{error:?}");
    assert!(error.to_string().contains("did not end within 2 s"), "{error}");
    let pid = fs::read_to_string(fake.file("is-leader", "pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} is still there");
}

#[test]
fn a_tool_that_closes_its_output_and_hangs_is_stopped() {
    let hang = "#!/bin/sh\nexec >&- 2>&- sleep 60\n";
    let fake = Fake::new().running("is-leader", hang);
    let error = fake.tools().with_time_max(Duration::from_millis(200)).is_leader().unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_tool_that_fails_without_reading_its_input_is_heard() {
    let refuse = "#!/bin/sh\necho ERROR not now >&2\nexit 1\n";
    let fake = Fake::new().running("relation-set", refuse);
    let changes: Changes = [("key".to_owned(), Some("x".repeat(1 << 20)))].into();
    let error = fake.tools().relation_set(&cluster(), Scope::Unit, &changes).unwrap_err();
    assert!(error.to_string().ends_with("ERROR not now"), "{error}");
}

#[test]
fn a_tool_that_answers_while_it_reads_does_not_block() {
    let fake = Fake::new().running("state-set", "#!/bin/sh\nexec tee /dev/stderr\n");
    let notes = BTreeMap::from([("key".to_owned(), "x".repeat(4 << 20))]);
    fake.tools().state_set(&notes).unwrap();
}

/// Runs this test again in a process of its own, whose `PATH` begins with the fake's directory.
#[test]
fn tools_are_found_on_path() {
    const CHILD: &str = "JUJU_TEST_IS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        assert!(Tools::new().is_leader().unwrap());
        assert!(matches!(Tools::new().config_get().unwrap_err(), Error::Missing { .. }));
        return;
    }
    let fake = Fake::new().answering("is-leader", "true");
    let mut path = fake.path().as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "failures::tools_are_found_on_path"])
        .env("PATH", path)
        .env(CHILD, "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(fake.was_run("is-leader"));
}
