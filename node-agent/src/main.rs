//! `nodeplane-agent`: entry point. What it does is in the library.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use nodeplane_node_agent::{
    agent,
    config::{Cli, Verb},
    server,
};
use tracing_subscriber::EnvFilter;

/// Threads that do everything but DNS, which has its own. The work is small; more threads would only take memory.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodeplane-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&cli.flags.log).with_context(|| format!("--log {}", cli.flags.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        match cli.verb.unwrap_or(Verb::Run) {
            Verb::Run => agent::run(cli.flags).await,
            Verb::Cleanup => agent::cleanup(&cli.flags).await,
            Verb::Dump => {
                let path = server::socket(&cli.flags.state_dir);
                let text = server::dump(&path).await;
                print!("{}", text.with_context(|| format!("no agent answers at {}", path.display()))?);
                Ok(())
            }
        }
    })
}
