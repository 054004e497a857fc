//! The charm, deployed in the stand-in for Juju on this machine.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::charm::{self, Profile};
use crate::step::{self, cargo, must, target_dir};

/// The command of the stand-in that deploys.
const UP: &str = "up";

/// What `cargo xtask model` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How to build what is deployed; `dev` is quicker to build and slower to run.
    #[arg(long, value_enum, default_value_t = Profile::Dev)]
    profile: Profile,
    /// Command of the stand-in and its arguments; without any: `up`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    must(&mut cargo(["build", "--locked", "--package", "quorate-model", "--bins"]))?;
    let mut command = Command::new(target_dir().join("debug/quorate-model"));
    let charm = target_dir().join("charm").join("model");
    if deploys_own_charm(&options.args) {
        charm::write_tree(options.profile, &charm)?;
    }
    step::run(command.args(arguments(&options.args, &charm)))
}

/// Whether the stand-in is to deploy, and nobody said what.
fn deploys_own_charm(args: &[String]) -> bool {
    let names_charm = |arg: &String| arg == "--charm" || arg.starts_with("--charm=");
    args.first().is_none_or(|first| first == UP) && !args.iter().any(names_charm)
}

fn arguments(args: &[String], charm: &Path) -> Vec<String> {
    if !deploys_own_charm(args) {
        return args.to_vec();
    }
    let own = [UP.to_owned(), "--charm".to_owned(), charm.to_string_lossy().into_owned()];
    own.into_iter().chain(args.iter().skip(1).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        arguments(&args, Path::new("T")).join(" ")
    }

    #[test]
    fn our_charm_is_deployed_unless_another_is_named() {
        assert_eq!(given(&[]), "up --charm T");
        assert_eq!(given(&["up", "-n", "1"]), "up --charm T -n 1");
        assert_eq!(given(&["up", "--charm", "X"]), "up --charm X");
        assert_eq!(given(&["up", "--charm=X"]), "up --charm=X");
    }

    #[test]
    fn other_commands_are_handed_on() {
        assert_eq!(given(&["--dir", "D", "status"]), "--dir D status");
        assert_eq!(given(&["run", "etcd/0", "health"]), "run etcd/0 health");
    }
}
