//! The charm: built, gathered into its tree, checked and packed.

mod analyse;
mod archive;
mod build;
mod descriptors;
mod plan;
pub(crate) mod portable;
mod quiet;
#[cfg(test)]
mod rules;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use self::archive::Effort;
pub(crate) use self::build::{Profile, architecture, member};
use crate::step::{root, target_dir};

/// What `cargo xtask charm` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Write the charm's files to this directory, replacing a charm that is there; pack nothing.
    #[arg(long, value_name = "DIR", conflicts_with = "analyse")]
    unpacked: Option<PathBuf>,
    /// How to build: `release`, or `dev` for tests (quick to build, large).
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Have charmcraft look at the archive; errors and warnings fail the command.
    ///
    /// Takes charmcraft from the PATH, else installs it from the Python index below target/. Where
    /// that cannot be done, says so and goes on.
    #[arg(long)]
    analyse: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(directory) = &options.unpacked {
        write_tree(options.profile, directory)?;
        eprintln!("{}", directory.display());
        return Ok(ExitCode::SUCCESS);
    }
    let directory = target_dir().join("charm/tree");
    write_tree(options.profile, &directory)?;
    let charm = pack(options.profile, &directory)?;
    println!("{}", charm.display());
    if options.analyse { analyse::run(&charm) } else { Ok(ExitCode::SUCCESS) }
}

/// Packs a tree below the target directory. Only what is deployed has to be small.
pub(crate) fn pack(profile: Profile, directory: &Path) -> Result<PathBuf> {
    let (name, effort) = match profile {
        Profile::Release => (format!("quorate_{}.charm", architecture()?), Effort::Best),
        Profile::Dev => (format!("quorate-dev_{}.charm", architecture()?), Effort::Quick),
    };
    let charm = target_dir().join("charm").join(name);
    let sizes = archive::pack(directory, &charm, effort)?;
    if profile == Profile::Release {
        eprint!("{}", archive::table(&sizes));
        archive::refuse_large(&charm)?;
    }
    Ok(charm)
}

/// Builds what the charm carries and writes its files to the directory.
pub(crate) fn write_tree(profile: Profile, directory: &Path) -> Result<()> {
    // Before the build, which takes minutes.
    let (hooks, actions) = (build::program_names("hooks")?, build::program_names("actions")?);
    descriptors::check_programs(&root(), &hooks, &actions)?;
    let plan = plan::plan(&build::build(profile)?)?;
    for file in &plan {
        file.check()?;
    }
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    tree::write(&plan, directory)
}
