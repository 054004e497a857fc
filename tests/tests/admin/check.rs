//! `quorate check`: settings are read, nothing is started.

use quorate_tests::{Server, Suite};

use crate::ask::{answer, command};

pub fn add(suite: &mut Suite) {
    suite.on_ours("check_reads_the_settings_and_starts_nothing", None, check_reads_the_settings);
}

async fn check_reads_the_settings(server: Server) {
    let directory = tempfile::Builder::new().prefix("quorate-test-").tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let mut good = command(&server, &["check", "--name=a"]);
    let good = answer(good.env("ETCD_DATA_DIR", &data_dir).output().await.unwrap());
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""));
    assert!(!data_dir.exists());
    let mut bad = command(&server, &["check"]);
    let bad = answer(bad.env("ETCD_HEARTBEAT_INTERVAL", "soon").output().await.unwrap());
    assert_eq!(bad.code, Some(1));
    let line = "quorate: invalid value \"soon\" for environment variable \
                ETCD_HEARTBEAT_INTERVAL: expected a whole number of milliseconds\n";
    assert_eq!(bad.stderr, line);
}
