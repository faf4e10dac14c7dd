//! The name servers to ask, and in which order.
//!
//! In: a list, or a `resolv.conf` that is looked at again as it changes. Out: their addresses,
//! the one that answered last in front. Servers that lead back to ourselves are left out.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use tracing::{info, warn};

use crate::config::{Ourselves, Upstreams};

/// The port of DNS.
const PORT: u16 = 53;
/// How many servers of a file are used, as in glibc (`MAXNS`).
const MAX_FILE_SERVERS: usize = 3;
/// How often a file is looked at, at most. A look is one `stat`.
const FILE_CHECK: Duration = Duration::from_secs(5);

/// The name servers to ask.
#[derive(Debug)]
pub struct Servers {
    list: ArcSwap<Vec<SocketAddr>>,
    preferred: AtomicUsize,
    file: Option<File>,
    ourselves: Ourselves,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    modified: Option<SystemTime>,
}

impl Servers {
    /// The servers that `upstreams` names, without `ourselves`. A file that cannot be read is as
    /// an empty one, until it can.
    pub fn new(upstreams: &Upstreams, ourselves: Ourselves) -> Self {
        let (list, file) = match upstreams {
            Upstreams::List(list) => (list.iter().copied().filter(|server| !ourselves.are(server)).collect(), None),
            Upstreams::ResolvConf(path) => {
                let seen = Mutex::new(Seen { at: Instant::now(), modified: modified(path) });
                (read(path, &ourselves), Some(File { path: path.clone(), seen }))
            }
        };
        Self { list: ArcSwap::from_pointee(list), preferred: AtomicUsize::new(0), file, ourselves }
    }

    /// Each server once, beginning with the preferred one.
    pub fn in_order(&self) -> Vec<SocketAddr> {
        self.reread(Instant::now());
        let list = self.list.load();
        let mut order = Vec::clone(&list);
        if !order.is_empty() {
            let first = self.preferred.load(Ordering::Relaxed) % order.len();
            order.rotate_left(first);
        }
        order
    }

    /// From now on begins with `server`.
    pub fn prefer(&self, server: SocketAddr) {
        if let Some(place) = self.list.load().iter().position(|known| *known == server) {
            self.preferred.store(place, Ordering::Relaxed);
        }
    }

    fn reread(&self, now: Instant) {
        let Some(file) = &self.file else { return };
        let mut seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(seen.at) < FILE_CHECK {
            return;
        }
        seen.at = now;
        let modified = modified(&file.path);
        if modified != seen.modified {
            seen.modified = modified;
            self.list.store(read(&file.path, &self.ourselves).into());
            self.preferred.store(0, Ordering::Relaxed);
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(path: &Path, ourselves: &Ourselves) -> Vec<SocketAddr> {
    let servers = match fs::read(path) {
        Ok(content) => name_servers(&String::from_utf8_lossy(&content), ourselves),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            warn!(path = %path.display(), %error, "cannot read name servers");
            return Vec::new();
        }
    };
    if servers.is_empty() {
        warn!(path = %path.display(), "no name server to forward to; only names of the cluster will be answered");
    } else {
        info!(path = %path.display(), ?servers, "forwarding to the node's name servers");
    }
    servers
}

/// The name servers of a `resolv.conf` (resolv.conf(5)), without those that are ourselves. A
/// loopback server such as 127.0.0.53 stays: we run in the node's network.
pub fn name_servers(content: &str, ourselves: &Ourselves) -> Vec<SocketAddr> {
    content
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())
        })
        .filter_map(|word| {
            let server = server_address(word);
            if server.is_none() {
                warn!(nameserver = word, "not an address that can be asked; left out");
            }
            server
        })
        .filter(|server| !ourselves.are(server))
        .take(MAX_FILE_SERVERS)
        .collect()
}

/// An address with the port of DNS; a link-local one may have its interface's number.
fn server_address(word: &str) -> Option<SocketAddr> {
    match word.split_once('%') {
        Some((address, scope)) => Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope.parse().ok()?).into()),
        None => word.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT)),
    }
}

#[cfg(test)]
mod tests;
