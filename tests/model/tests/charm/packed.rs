//! The archive that is deployed: unpacked somewhere else, it works from its own files.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::{Model, Options};
use serde_json::Value;
use zip::ZipArchive;

use super::common::{APP, Etcd};

/// Names another packed charm.
const VARIABLE: &str = "QUORATE_TEST_PACKED_CHARM";
/// What makes the archive.
const COMMAND: &str = "cargo xtask charm --profile dev";

/// The packed charm: `QUORATE_TEST_PACKED_CHARM`, else the one for tests below target/charm. `Err`
/// says what to type.
pub fn archive() -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let usual = target.join(format!("charm/quorate-dev_{architecture}.charm"));
    let archive = std::env::var_os(VARIABLE).map_or(usual, PathBuf::from);
    match archive.is_file() {
        true => Ok(archive),
        false => Err(format!("no packed charm at {}: type `{COMMAND}`", archive.display())),
    }
}

/// Deploys three units from the archive, with nothing else of the workspace.
pub fn deploys() {
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive().unwrap(), dir.path());
    for file in ["metadata.yaml", "config.yaml", "actions.yaml", "manifest.yaml", "version"] {
        assert!(dir.path().join(file).is_file(), "{file} is missing");
    }
    let model = Model::new(Options { seed: 71, is_parallel: true, ..Options::default() }).unwrap();
    model.deploy(dir.path(), APP, 3, &[], &[]).unwrap();
    let etcd = Etcd { model };
    etcd.becomes_healthy();
    etcd.store().put("key", "value");
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 3]);
    for unit in etcd.units() {
        let outcome = etcd.model.run_action(&unit, "health", &Value::Null).unwrap();
        assert_eq!(outcome.status, "completed", "{}", outcome.message);
    }
    etcd.model.remove_unit("etcd/1").unwrap();
    etcd.settle("two are left", |etcd| etcd.units().len() == 2 && etcd.what_is_wrong().is_none());
    etcd.hooks_never_failed();
}

/// As Juju unpacks: the modes come from the archive.
fn unpack(archive: &Path, target: &Path) {
    let mut zip = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    for number in 0..zip.len() {
        let mut entry = zip.by_index(number).unwrap();
        let path = target.join(entry.enclosed_name().unwrap());
        let mode = entry.unix_mode().unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::copy(&mut entry, &mut File::create(&path).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o777)).unwrap();
    }
}
