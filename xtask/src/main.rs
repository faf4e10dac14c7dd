//! The only build tool of the project: `cargo xtask VERB`. One module per verb.

mod build;
mod cmd;
mod lint;
mod proof;
mod setup;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::{Profile, Workspace};

/// Builds, runs and proves Nodeplane.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Install what building, running and testing need, as far as it is missing.
    Setup,
    /// Build the BPF object, the programs and the sample.
    Build {
        /// Optimise the programs (the BPF object always is).
        #[arg(long)]
        release: bool,
        /// Build only what the agent embeds: the BPF object and the pause program.
        #[arg(long)]
        embedded: bool,
    },
    /// Check form, lints, the laws of the house and the dependencies' licences.
    Lint,
    /// Run the unit tests of every crate, then the scenarios on real clusters (root).
    Test {
        /// Only tests whose names contain this.
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    match Cli::parse().verb {
        Verb::Setup => setup::run(&workspace),
        Verb::Build { embedded: true, .. } => build::embedded(&workspace),
        Verb::Build { release, .. } => build::all(&workspace, if release { Profile::Release } else { Profile::Debug }),
        Verb::Lint => lint::run(&workspace),
        Verb::Test { filter } => proof::run(&workspace, filter.as_deref()),
    }
}
