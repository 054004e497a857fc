//! The same etcdctl script against real etcd and against ours: what a user sees must be equal.
//!
//! Each file of `tests/scripts` is one case. Where several real etcds are named, the first one is
//! the reference and the others are compared with it too, so that what differs between etcd's own
//! releases is known.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use quorate_tests::{
    Cluster, Script, Server, Shape, Suite, etcdctl, extended, readable_diff, run_script,
};

fn main() -> ExitCode {
    let references = Server::references();
    let etcdctl = etcdctl();
    let missing = match (references.first(), &etcdctl) {
        (Some(_), Some(_)) => None,
        (None, _) => Some("no real etcd to compare with".to_owned()),
        (_, None) => Some("no etcdctl".to_owned()),
    };
    let mut suite = Suite::new();
    for path in script_files() {
        let name =
            path.file_stem().and_then(|stem| stem.to_str()).expect("a UTF-8 name").to_owned();
        let skip = missing.clone();
        let reference = references.first().cloned();
        let (tool, script) = (etcdctl.clone().unwrap_or_default(), path.clone());
        suite.on_ours(&name, skip.clone(), move |ours| async move {
            let reference = reference.expect("skipped without a reference");
            compare(&reference, &ours, &tool, &script).await;
        });
        for other in references.iter().skip(1) {
            let reference = references[0].clone();
            let (etcdctl, script) = (etcdctl.clone().unwrap_or_default(), path.clone());
            let other = other.clone();
            suite.case(format!("{}::{name}", other.label()), skip.clone(), move || async move {
                compare(&reference, &other, &etcdctl, &script).await;
            });
        }
    }
    let no_tool = etcdctl.is_none().then(|| "no etcdctl".to_owned());
    let tool = etcdctl.unwrap_or_default();
    suite.on_ours(
        "extended_check_perf_passes",
        no_tool.or_else(extended),
        move |ours| async move {
            check_perf(&ours, &tool).await;
        },
    );
    suite.main()
}

/// `check perf` runs for a minute and prints rates, so its verdict is looked at, not compared.
async fn check_perf(server: &Server, etcdctl: &Path) {
    let cluster = Cluster::start(server, Shape::of(1)).await;
    let child = tokio::process::Command::new(etcdctl)
        .args(["check", "perf", "--load=s", "--endpoints", &cluster.members[0].client_url()])
        .env("ETCDCTL_API", "3")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(150), child)
        .await
        .expect("`check perf` ends after its minute")
        .expect("etcdctl starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim_end().ends_with("PASS"), "{said}");
}

async fn compare(reference: &Server, subject: &Server, etcdctl: &Path, path: &Path) {
    let text = std::fs::read_to_string(path).expect("the script is readable");
    let script = Script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expected = run_script(reference, etcdctl, &script).await;
    let actual = run_script(subject, etcdctl, &script).await;
    if let Ok(directory) = std::env::var("QUORATE_TEST_TRANSCRIPTS") {
        let file = path.file_stem().expect("a script has a name");
        std::fs::write(Path::new(&directory).join(file), &expected).expect("a writable directory");
    }
    assert!(
        expected == actual,
        "{}: - is {}, + is {}\n{}",
        path.display(),
        reference.label(),
        subject.label(),
        readable_diff(&expected, &actual)
    );
}

fn script_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let entries = std::fs::read_dir(&directory).expect("tests/scripts exists");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", directory.display());
    files
}
