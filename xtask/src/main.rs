//! The only build tool of the project: `cargo xtask VERB`. One module per verb.

mod bench;
mod build;
mod cluster;
mod cmd;
mod lint;
mod proof;
mod setup;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use cluster::Store;
use cluster::state::StateDir;
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
    /// Start a cluster on this machine, with a sample on it, and leave it running; mend one that died in part (root).
    Up {
        /// Where the cluster keeps its truth. Without it: where it does already, and a new one in the embedded store.
        #[arg(long, value_enum)]
        store: Option<Store>,
        /// Run programs that are quick to build instead of optimised ones.
        #[arg(long)]
        debug: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Take the cluster and everything that it made away again (root).
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Measure.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Check form, lints, the laws of the house and the dependencies' licences.
    Lint,
    /// Run the unit tests of every crate, then the scenarios on real clusters (root).
    Test {
        /// Only tests whose names contain this.
        filter: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Speed and memory of the API server beside those of kube-apiserver with etcd.
    Api(bench::api::ApiFlags),
    /// Start times, memory at rest, and the way from `kubectl apply` to an answering Service (root).
    Footprint {
        /// How often each time is measured.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
        runs: u16,
        /// The directory below which the measured cluster keeps everything; it is removed afterwards.
        #[arg(long, default_value = "/var/lib/nodeplane-bench")]
        state_dir: PathBuf,
    },
}

/// Which cluster.
#[derive(Debug, Args)]
struct Place {
    /// The directory below which the cluster keeps everything.
    #[arg(long, default_value = "/var/lib/nodeplane")]
    state_dir: PathBuf,
}

impl Place {
    fn state(&self) -> Result<StateDir> {
        StateDir::new(&self.state_dir)
    }
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
        Verb::Up { store, debug, place } => {
            let profile = if debug { Profile::Debug } else { Profile::Release };
            cluster::up::run(&workspace, &place.state()?, store, profile)
        }
        Verb::Down { place } => cluster::down::run(&workspace, &place.state()?),
        Verb::Bench { what: Bench::Api(flags) } => bench::api::run(&workspace, &flags),
        Verb::Bench { what: Bench::Footprint { runs, state_dir } } => {
            bench::footprint::run(&workspace, &StateDir::new(&state_dir)?, runs)
        }
        Verb::Lint => lint::run(&workspace),
        Verb::Test { filter } => proof::run(&workspace, filter.as_deref()),
    }
}
