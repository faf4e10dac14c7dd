//! The command line of `nodeplane-dns`: flags to the [`Config`] of the library and to a client.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Parser};
use nodeplane_client::{
    connect,
    kube::{Client, Config as KubeConfig},
};
use nodeplane_dns::{Config, PodNames, Range, Upstreams};

/// Answers the names of a Kubernetes cluster, and forwards all others.
#[derive(Parser)]
#[command(version, group = ArgGroup::new("cluster").required(true).args(["kubeconfig", "server"]))]
pub(crate) struct Flags {
    /// The kubeconfig of the cluster; its current context is used.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// An API server that asks for no credentials, such as `kubectl proxy`.
    #[arg(long, value_name = "http://HOST:PORT")]
    server: Option<String>,
    /// An address to answer at, on UDP and TCP. Repeatable. No wildcards.
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    listen: Vec<SocketAddr>,
    /// The domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// TTL of the cluster's records in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    ttl: u32,
    /// A name server for all other names, with or without a port. Repeatable; without it, those
    /// of /etc/resolv.conf.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = name_server)]
    upstream: Vec<SocketAddr>,
    /// The range of service addresses, whose reverse zones are the cluster's.
    #[arg(long, value_name = "RANGE", default_value = "10.96.0.0/16")]
    service_cidr: Range,
    /// The range of pod addresses: they may ask, and their reverse zones are the cluster's.
    #[arg(long, value_name = "RANGE", default_value = "10.244.0.0/16")]
    pod_cidr: Range,
    /// Who may ask, besides pods and this machine. Repeatable.
    #[arg(long, value_name = "RANGE")]
    allow: Vec<Range>,
    /// Deny the names of pods by their address.
    #[arg(long)]
    no_pod_names: bool,
    /// How many threads answer.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    workers: usize,
    /// What is logged, in the form of `RUST_LOG`.
    #[arg(long, value_name = "FILTER", env = "NODEPLANE_LOG", default_value = "info")]
    pub(crate) log: String,
}

impl Flags {
    /// How the server is set up.
    pub(crate) fn config(&self) -> Config {
        Config {
            listen: self.listen.clone(),
            cluster_domain: self.cluster_domain.clone(),
            ttl: self.ttl,
            upstreams: match self.upstream.as_slice() {
                [] => Config::default().upstreams,
                servers => Upstreams::List(servers.to_vec()),
            },
            reverse_zones: vec![self.service_cidr, self.pod_cidr],
            clients: [self.pod_cidr].into_iter().chain(self.allow.iter().copied()).collect(),
            pods: if self.no_pod_names { PodNames::Disabled } else { PodNames::Insecure },
            workers: self.workers,
        }
    }

    /// A client of the API server.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        if let Some(path) = &self.kubeconfig {
            return Ok(connect::from_kubeconfig(path, concat!("nodeplane-dns/", env!("CARGO_PKG_VERSION"))).await?);
        }
        let server = self.server.as_deref().context("neither --kubeconfig nor --server")?;
        let address = server.parse().with_context(|| format!("--server {server}"))?;
        Ok(Client::try_from(KubeConfig::new(address))?)
    }
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| text.parse().map(|address| SocketAddr::new(address, 53)))
        .map_err(|_| format!("{text:?} is not ADDR or ADDR:PORT"))
}

#[cfg(test)]
mod tests;
