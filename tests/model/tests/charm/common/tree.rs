//! Where the unpacked charm is that the suites deploy.

use std::env;
use std::path::{Path, PathBuf};

/// Names another unpacked charm.
const VARIABLE: &str = "QUORATE_TEST_CHARM";
/// What makes the tree.
const COMMAND: &str = "cargo xtask charm --profile dev --unpacked target/charm/tests";

/// The unpacked charm: `QUORATE_TEST_CHARM`, else `target/charm/tests`. `Err` says what to type.
pub fn tree() -> Result<PathBuf, String> {
    let tree = env::var_os(VARIABLE).map_or_else(default_tree, PathBuf::from);
    if tree.join("metadata.yaml").is_file() && tree.join("bin/quorate").is_file() {
        return Ok(tree);
    }
    Err(format!("no unpacked charm at {}: type `{COMMAND}`", tree.display()))
}

fn default_tree() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
    target.join("charm/tests")
}
