//! `cargo xtask bench api`: how quick the API server is, how much memory it takes, and whether that is what it should be.
//!
//! It builds the optimised server and the load generator (`tests/load`), lets the generator measure as many runs as asked
//! for, each on a server of its own, and tells the medians beside the peer's figures. What a row is and what it must
//! reach stands in [`rows`]; traffic stays on loopback, and nothing is left behind.

mod report;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value};

use self::report::{Measured, Report};
use crate::cluster::Store;
use crate::cmd::{Cmd, find_program};
use crate::workspace::{Profile, Workspace, cargo};

/// How long one run may take at most.
const RUN_WITHIN: Duration = Duration::from_secs(900);

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct ApiFlags {
    /// How often everything is measured, each time on a new server.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    runs: u16,
    /// Where our server keeps objects.
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// How many pods the large lists have; targets are for 10,000.
    #[arg(long, default_value_t = 10_000)]
    pods: u32,
    /// Measure instead how memory per pod and cost per operation grow from 1,000 to 100,000 pods, for at most so many
    /// seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    curve: Option<u64>,
    /// Where the peer's `kube-apiserver` lies (and `kube-controller-manager` and `kube-scheduler`, if they are to run,
    /// too), to be measured in turn with ours. Without it, `PATH` is searched.
    #[arg(long, value_name = "DIR", env = "NODEPLANE_PEER_DIR")]
    peer_dir: Option<PathBuf>,
    /// Write all samples there as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and tells.
///
/// # Errors
/// When a build or a run fails.
pub(crate) fn run(workspace: &Workspace, flags: &ApiFlags) -> Result<()> {
    let programs =
        cargo(workspace).args(["build", "--release", "--bin", "nodeplane-server", "--bin", "nodeplane-load"]);
    programs.stream()?;
    let generator = Generator { bin_dir: workspace.bin_dir(Profile::Release), pods: flags.pods };
    let peer_dir = peer_dir(flags.peer_dir.as_deref());
    if peer_dir.is_none() {
        println!("no kube-apiserver on this machine: the peer's figures are recorded ones ({})", rows::RECORDED);
    }
    let (mut ours, mut peers) = (Measured::default(), Measured::default());
    if let Some(seconds) = flags.curve {
        ours.add(generator.measure(subject(flags.store), None, Some(seconds))?);
    } else {
        for run in 1..=flags.runs {
            println!("measuring  run {run} of {}", flags.runs);
            ours.add(generator.measure(subject(flags.store), None, None)?);
            if let Some(dir) = &peer_dir {
                peers.add(generator.measure("peer", Some(dir), None)?);
            }
        }
    }
    let report = Report { store: subject(flags.store), pods: flags.pods, ours, peers };
    println!("\n{report}");
    if let Some(path) = &flags.json {
        let text = serde_json::to_string_pretty(&report.to_json()?)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn subject(store: Store) -> &'static str {
    match store {
        Store::Embedded => "embedded",
        Store::Etcd => "etcd",
    }
}

/// Where the peer lies, if it does.
fn peer_dir(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(dir) => Some(dir.to_owned()),
        None => find_program("kube-apiserver").and_then(|path| path.parent().map(Path::to_owned)),
    }
}

/// The program that drives servers.
struct Generator {
    bin_dir: PathBuf,
    pods: u32,
}

impl Generator {
    /// The figures of one run.
    fn measure(&self, subject: &str, peer: Option<&Path>, curve: Option<u64>) -> Result<Map<String, Value>> {
        let mut cmd = Cmd::new(self.bin_dir.join("nodeplane-load")).args(["--subject", subject]);
        cmd = cmd.arg("--server").arg(self.bin_dir.join("nodeplane-server")).args(["--pods", &self.pods.to_string()]);
        if let Some(dir) = peer {
            cmd = cmd.arg("--peer-dir").arg(dir);
        }
        if let Some(seconds) = curve {
            cmd = cmd.args(["--curve", &seconds.to_string()]);
        }
        if let Some(etcd) = find_program("etcd") {
            cmd = cmd.arg("--etcd").arg(etcd);
        }
        // The last point of a curve may begin just before the time is over.
        let limit = RUN_WITHIN + Duration::from_secs(curve.unwrap_or(0));
        let told = cmd.limit(limit).long_step(format!("measuring ({subject})")).read()?;
        serde_json::from_str(&told).context("the load generator told something else than figures")
    }
}
