//! A real etcd of the cluster's own, on loopback ports that no other etcd uses by default.

use std::time::Duration;

use anyhow::Result;

use super::process::Daemon;
use super::state::{StateDir, make_private};
use super::wait;
use crate::cmd::Cmd;

/// Where the server finds it.
pub(crate) const ENDPOINT: &str = "http://127.0.0.1:12379";
const PEER: &str = "http://127.0.0.1:12380";
const NAME: &str = "etcd";

/// The process, whether it runs or not.
pub(crate) fn daemon(state: &StateDir) -> Daemon {
    Daemon::new(state, NAME)
}

/// Starts it and waits until it is healthy.
///
/// # Errors
/// When it does not become healthy in time.
pub(crate) fn start(state: &StateDir) -> Result<()> {
    let daemon = daemon(state);
    make_private(&state.etcd())?;
    let command = Cmd::new("etcd")
        .args(["--name", "nodeplane", "--logger", "zap", "--data-dir"])
        .arg(state.etcd())
        .args(["--listen-client-urls", ENDPOINT, "--advertise-client-urls", ENDPOINT])
        .args(["--listen-peer-urls", PEER, "--initial-advertise-peer-urls", PEER])
        .args(["--initial-cluster", &format!("nodeplane={PEER}")])
        // Debian's etcd 3.4 wants to be told that 64-bit ARM is meant.
        .env("ETCD_UNSUPPORTED_ARCH", if std::env::consts::ARCH == "aarch64" { "arm64" } else { "" });
    daemon.start(command)?;
    let probe = || {
        daemon.require_alive()?;
        Ok(is_healthy().then_some(()))
    };
    wait::until("etcd", Duration::from_secs(30), probe).map_err(|error| daemon.explain(&error))
}

fn is_healthy() -> bool {
    Cmd::new("etcdctl").args(["--endpoints", ENDPOINT, "endpoint", "health"]).env("ETCDCTL_API", "3").succeeds()
}
