//! Who the server is, and what it writes for others to know it by.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nodeplane_api::names;
use rustls::{ClientConfig, ServerConfig};
use tracing::info;

use super::advertise;
use crate::{
    config::{Config, KubeconfigFlags, StateDir, Who},
    http::authn::MASTERS,
    pki::{Pki, San, Signer},
    tokens::Tokens,
};

/// The administrator, as certificates and audit trails name them.
const ADMIN: &str = "admin";
/// This server, as the agents know it.
const AGENTS_CLIENT: &str = "kube-apiserver-kubelet-client";
/// Names under which pods reach the server.
const SERVICE_NAMES: [&str; 4] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
/// Name under which clients on the same machine reach it.
const LOCAL: &str = "localhost";
/// How long a kubeconfig waits for a server that is just starting for the first time.
const AUTHORITY_WITHIN: Duration = Duration::from_secs(5);

/// All that is made from the authority at start.
pub(super) struct Credentials {
    /// The authority's certificate.
    pub(super) ca_pem: String,
    /// How the server serves.
    pub(super) tls: Arc<ServerConfig>,
    /// How it dials the agents.
    pub(super) agents: Arc<ClientConfig>,
    /// How it signs for others.
    pub(super) signer: Arc<Signer>,
    /// How it lets pods in.
    pub(super) tokens: Tokens,
}

/// Opens the authority, issues what the server needs, and writes the administrator's kubeconfig.
pub(super) fn prepare(config: &Config, listen: SocketAddr, advertised: Option<Ipv4Addr>) -> Result<Credentials> {
    let pki = open(&config.state)?;
    let serving = pki.serving(&sans(config, listen, advertised))?;
    let agents = pki.client(AGENTS_CLIENT, &[MASTERS])?;
    let admin = pki.client(ADMIN, &[MASTERS])?;
    let server = format!("https://{}", advertise::dialled(listen, config.advertise));
    let path = config.state.admin_kubeconfig();
    pki.kubeconfig(ADMIN, &admin, &server).write(&path)?;
    info!(path = %path.display(), server, "the administrator's kubeconfig");
    let tokens = Tokens::open(&pki, config.issuers.clone(), config.audiences.clone());
    Ok(Credentials {
        signer: Arc::new(pki.signer()?),
        tokens: tokens.with_context(|| format!("--state-dir {}", config.state.path().display()))?,
        ca_pem: pki.ca_pem().to_owned(),
        tls: Arc::new(pki.server_config(&serving)?),
        agents: Arc::new(pki.client_config(&agents)?),
    })
}

fn open(state: &StateDir) -> Result<Pki> {
    Pki::open(&state.pki()).with_context(|| format!("--state-dir {}", state.path().display()))
}

/// The names in the server's certificate.
fn sans(config: &Config, listen: SocketAddr, advertised: Option<Ipv4Addr>) -> Vec<San> {
    let mut sans: Vec<San> = ["127.0.0.1", LOCAL].iter().chain(&SERVICE_NAMES).map(|name| (*name).into()).collect();
    sans.push(San::Ip(config.server_ip.into()));
    if !listen.ip().is_unspecified() {
        sans.push(San::Ip(listen.ip()));
    }
    sans.extend(advertised.map(|address| San::Ip(address.into())));
    sans.extend(config.sans.iter().map(|name| name.as_str().into()));
    sans
}

/// Writes a kubeconfig for somebody, from the authority of a server on this machine.
///
/// # Errors
/// When there is no authority, the node's name cannot be one, or the file cannot be written.
pub fn write_kubeconfig(who: &Who) -> Result<()> {
    match who {
        Who::Admin(flags) => {
            let pki = await_authority(flags)?;
            let admin = pki.client(ADMIN, &[MASTERS])?;
            pki.kubeconfig(ADMIN, &admin, &flags.server).write(&flags.out)
        }
        Who::Node { name, flags } => {
            if let Some(wrong) = names::subdomain(name).first() {
                bail!("{name:?} cannot be the name of a node: {wrong}");
            }
            if name == LOCAL || SERVICE_NAMES.contains(&name.as_str()) {
                // Its certificate would do for the server itself.
                bail!("{name:?} cannot be the name of a node: it is a name of the API server");
            }
            let pki = await_authority(flags)?;
            let node = pki.node(name)?;
            pki.kubeconfig(&format!("system:node:{name}"), &node, &flags.server).write(&flags.out)
        }
    }
    .context("--out")
}

/// The authority of a server that has started or is about to. It is never made here: one that
/// no server uses would only look like success.
fn await_authority(flags: &KubeconfigFlags) -> Result<Pki> {
    let state = StateDir::new(&flags.state_dir);
    let (certificate, since) = (state.pki().join("ca.crt"), Instant::now());
    while !certificate.exists() {
        if since.elapsed() > AUTHORITY_WITHIN {
            let path = state.path().display();
            bail!("--state-dir {path}: there is no certificate authority; start the server with this directory first");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    open(&state)
}
