//! `nodeplane-dns`: the DNS server by itself, beside any Kubernetes API server.

mod flags;

use std::io::IsTerminal;

use anyhow::Context;
use clap::Parser;
use nodeplane_dns::Dns;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::flags::Flags;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let filter = EnvFilter::try_new(&flags.log).with_context(|| format!("--log {}", flags.log))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    // Before anything can be asked to stop.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let client = flags.client().await?;
    let dns = Dns::start(&flags.config(), &client)?;
    tokio::select! {
        () = dns.stopped() => anyhow::bail!("the server ended by itself; its reason is in the log"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    dns.shutdown().await;
    Ok(())
}
