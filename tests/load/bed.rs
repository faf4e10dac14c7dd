//! The server that is measured: started on loopback with a directory of its own, looked at, ended.
//!
//! In: which server. Out: how it is dialled, when it was ready, what it holds in memory. Whatever it started is gone when
//! it is, also after a failure.

mod member;
mod peer;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use self::member::Member;
use crate::{
    Flags, Subject,
    client::{Ask, Dialer},
    kubeconfig::Kubeconfig,
};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running server with all that belongs to it.
pub(crate) struct Bed {
    /// How its clients dial it.
    pub(crate) dialer: Dialer,
    members: Vec<Member>,
    _dir: TempDir,
}

/// Memory of all processes, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// What they take for themselves, and their parts of what they share.
    pub(crate) pss: f64,
    /// All that is resident.
    pub(crate) rss: f64,
}

impl Bed {
    /// Starts a server, and says how long it took from its exec to its first success on `/readyz`. What it needs beside
    /// it runs before.
    pub(crate) async fn start(flags: &Flags) -> Result<(Self, Duration)> {
        let dir = tempfile::Builder::new().prefix("nodeplane-load.").tempdir()?;
        let mut members = Vec::new();
        let address = free_address()?;
        let etcd = match flags.subject {
            Subject::Embedded => None,
            Subject::Etcd | Subject::Peer => {
                let (member, url) = start_etcd(flags, &dir).await?;
                members.push(member);
                Some(url)
            }
        };
        let (command, kubeconfig) = match (flags.subject, &etcd) {
            (Subject::Peer, Some(etcd)) => peer::command(flags, dir.path(), address, etcd)?,
            _ => own_command(flags, &dir, address, etcd.as_deref())?,
        };
        let since = Instant::now();
        members.push(Member::start("server", command, dir.path())?);
        let started = dialer_when_ready(&mut members, &kubeconfig, address, since).await;
        let (dialer, ready) = started.map_err(|error| explained(&members, error))?;
        if flags.subject == Subject::Peer {
            members.extend(peer::movers(flags, dir.path(), address)?);
        }
        Ok((Self { dialer, members, _dir: dir }, ready))
    }

    /// What all of it holds in memory now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut sum = Memory::default();
        for member in &self.members {
            let one = member.memory()?;
            sum = Memory { pss: sum.pss + one.pss, rss: sum.rss + one.rss };
        }
        Ok(sum)
    }

    /// An error with the last words of the servers.
    pub(crate) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        explained(&self.members, error)
    }

    /// Ends everything in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        while let Some(member) = self.members.pop() {
            member.stop().await?;
        }
        Ok(())
    }
}

fn explained(members: &[Member], error: anyhow::Error) -> anyhow::Error {
    members.iter().fold(error, |error, member| error.context(member.last_words()))
}

/// A port that is free now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn own_command(flags: &Flags, dir: &TempDir, address: SocketAddr, etcd: Option<&str>) -> Result<(Command, Trust)> {
    let state = dir.path().join("server");
    let mut command = Command::new(flags.server.as_ref().context("--server FILE is missing")?);
    command.arg("--state-dir").arg(&state).args(["--listen", &address.to_string(), "--log", "warn"]);
    if let Some(etcd) = etcd {
        command.args(["--store", "etcd", "--etcd-endpoints", etcd]);
    }
    Ok((command, Trust::File(state.join("admin.kubeconfig"))))
}

/// Whom to trust and who to be.
enum Trust {
    /// As the file says that the server will have written when it is ready.
    File(PathBuf),
    /// As was told to the server.
    Known(Kubeconfig),
}

async fn start_etcd(flags: &Flags, dir: &TempDir) -> Result<(Member, String)> {
    let (clients, peers) = (format!("http://{}", free_address()?), format!("http://{}", free_address()?));
    let mut command = Command::new(&flags.etcd);
    command
        .args(["--name", "load", "--logger", "zap", "--log-level", "warn", "--data-dir"])
        .arg(dir.path().join("etcd"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("load={peers}")]);
    let mut member = Member::start("etcd", command, dir.path())?;
    let address = clients.trim_start_matches("http://").to_owned();
    let since = Instant::now();
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        member.require_alive()?;
        if since.elapsed() > READY_WITHIN {
            bail!("etcd does not listen");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((member, clients))
}

async fn dialer_when_ready(
    members: &mut [Member],
    trust: &Trust,
    address: SocketAddr,
    since: Instant,
) -> Result<(Dialer, Duration)> {
    loop {
        if let Some(dialer) = ask_ready(trust, address).await {
            return Ok((dialer, since.elapsed()));
        }
        for member in members.iter_mut() {
            member.require_alive()?;
        }
        if since.elapsed() > READY_WITHIN {
            bail!("the server is not ready");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ask_ready(trust: &Trust, address: SocketAddr) -> Option<Dialer> {
    let kubeconfig = match trust {
        Trust::File(path) => Kubeconfig::read(path).ok()?,
        Trust::Known(kubeconfig) => kubeconfig.clone(),
    };
    let dialer = Dialer::new(address, kubeconfig.tls().ok()?);
    let mut client = dialer.dial().await.ok()?;
    client.call(Ask::get("/readyz")).await.ok()?;
    Some(dialer)
}
