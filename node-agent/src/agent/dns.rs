//! The DNS server of this node, at the node's own address of its pod range.

use std::sync::Arc;

use nodeplane_dns::{Config, Dns, Range, Sources, Upstreams};
use tokio::sync::watch;

use super::{Agent, RETRY};
use crate::{
    net::cidr::Cidr,
    node::{dns_slice, health::Part},
};

impl Agent {
    /// Answers names until the end, and publishes where.
    pub(super) async fn answer_names(self: &Arc<Self>) {
        let Some(network) = self.network.get() else { return };
        let gateway = network.gateway();
        // Nothing is said before it is known: what an earlier agent has published is still true as far as anybody knows.
        let (told, ready) = watch::channel(None);
        self.task("dns-slice", |agent| async move {
            let place = (agent.identity.name.as_str(), gateway);
            let node = || agent.keeper.node().as_deref().cloned();
            let slices = agent.sources.services.slices.clone();
            dns_slice::publish(&agent.client, slices, place, ready, node, &agent.stop).await;
        });
        let config = Config {
            listen: vec![(gateway, dns_slice::PORT).into()],
            cluster_domain: self.flags.cluster_domain.clone(),
            upstreams: match self.flags.dns_upstream.as_slice() {
                [] => Config::default().upstreams,
                servers => Upstreams::List(servers.to_vec()),
            },
            reverse_zones: [self.flags.service_cidr, self.flags.cluster_cidr].into_iter().filter_map(range).collect(),
            // Pods, and what asks from this node's other address.
            clients: [self.flags.cluster_cidr, Cidr::host(self.identity.address)]
                .into_iter()
                .filter_map(range)
                .collect(),
            ..Config::default()
        };
        let sources = Sources::shared(&self.client, self.sources.services.clone());
        while !self.stop.is_cancelled() {
            let start = || async { Dns::start_with(&config, sources.clone()) };
            let Some(dns) = self.insist(Part::Dns, start).await else { return };
            self.health.well(Part::Dns);
            tokio::select! {
                () = dns.stopped() => {
                    told.send_if_modified(fell);
                    self.health.unwell(Part::Dns, "the server has ended; its reason is in the log");
                    tokio::time::sleep(RETRY).await;
                }
                () = tell_when_ready(&dns, &told) => {}
                () = self.stop.cancelled() => dns.shutdown().await,
            }
        }
    }
}

/// Never returns: a server that is ready stays so.
async fn tell_when_ready(dns: &Dns, told: &watch::Sender<Option<bool>>) {
    if dns.ready().await {
        told.send_replace(Some(true));
    }
    std::future::pending::<()>().await;
}

/// From ready to not ready; a server that never was has told nobody otherwise.
fn fell(told: &mut Option<bool>) -> bool {
    let was_ready = *told == Some(true);
    if was_ready {
        *told = Some(false);
    }
    was_ready
}

fn range(range: Cidr) -> Option<Range> {
    range.to_string().parse().ok()
}
