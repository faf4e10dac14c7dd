//! `nodeplane-server`: the control plane of a cluster in one process.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use nodeplane_control_plane::{
    config::{Config, CopyConfig, CopyFlags, Flags, LogFormat, RunFlags, StoreVerb, Verb},
    server::{self, Server},
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let result = match flags.verb {
        Some(Verb::Kubeconfig { who }) => server::write_kubeconfig(&who),
        Some(Verb::Store { what: StoreVerb::Copy(flags) }) => copy(flags),
        None => run(flags.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn copy(flags: CopyFlags) -> Result<()> {
    let config = CopyConfig::try_from(flags)?;
    Builder::new_multi_thread().enable_all().build()?.block_on(server::copy_store(&config))
}

fn run(flags: RunFlags) -> Result<()> {
    let filter = EnvFilter::try_new(&flags.log)
        .with_context(|| format!("--log {}: write levels such as info or debug,kube=warn", flags.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    let config = Config::try_from(flags)?;
    info!(version = env!("CARGO_PKG_VERSION"), state_dir = %config.state.path().display(), "starting");
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        watch_signals(&stop)?;
        // A start can be called off, too.
        let server = tokio::select! {
            server = Server::start(&config) => server?,
            () = stop.cancelled() => return Ok(()),
        };
        server.run(stop).await
    })
}

/// The first signal asks for an orderly end, the second one for an immediate one.
fn watch_signals(stop: &CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if stop.is_cancelled() {
                warn!(signal = name, "ending at once");
                std::process::exit(1);
            }
            info!(signal = name, "told to stop");
            stop.cancel();
        }
    });
    Ok(())
}
