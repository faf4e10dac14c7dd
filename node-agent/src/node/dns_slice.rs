//! Where this node's DNS server answers, as an EndpointSlice of the Service `kube-system/kube-dns`.
//!
//! The Service has no selector and keeps its traffic on the node, so that every pod asks the server of its own node.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        core::v1::Node,
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams, PostParams},
};
use nodeplane_api::meta::Key;
use nodeplane_client::informer::Informer;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const NAMESPACE: &str = "kube-system";
/// The port of DNS.
pub const PORT: u16 = 53;
/// How often it is looked whether the slice is still there, besides when slices change.
const PERIOD: Duration = Duration::from_secs(30);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The slice of a node. `ready` says whether the server knows the whole cluster.
pub fn slice(node_name: &str, address: Ipv4Addr, ready: bool) -> EndpointSlice {
    let port = |name: &str, protocol: &str| EndpointPort {
        name: Some(name.to_owned()),
        port: Some(PORT.into()),
        protocol: Some(protocol.to_owned()),
        ..EndpointPort::default()
    };
    let labels =
        [("kubernetes.io/service-name", "kube-dns"), ("endpointslice.kubernetes.io/managed-by", "nodeplane-agent")];
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("kube-dns-{node_name}")),
            namespace: Some(NAMESPACE.to_owned()),
            labels: Some(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        ports: Some(vec![port("dns", "UDP"), port("dns-tcp", "TCP")]),
        endpoints: vec![Endpoint {
            addresses: vec![address.to_string()],
            conditions: Some(EndpointConditions { ready: Some(ready), serving: Some(ready), terminating: Some(false) }),
            node_name: Some(node_name.to_owned()),
            ..Endpoint::default()
        }],
    }
}

/// Publishes the slice whenever it is missing or says something else, until `stop`. `ready` follows the server: nothing
/// is published before it is known, so that an agent that starts again withdraws nothing. `node` is asked for the Node,
/// which the slice belongs to.
pub async fn publish(
    client: &Client,
    slices: Arc<Informer<EndpointSlice>>,
    (node_name, address): (&str, Ipv4Addr),
    mut ready: watch::Receiver<Option<bool>>,
    node: impl Fn() -> Option<Node>,
    stop: &CancellationToken,
) {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    let keep = async {
        slices.ready().await;
        if ready.wait_for(Option::is_some).await.is_err() {
            // A server that is gone will not become ready any more.
            std::future::pending::<()>().await;
        }
        let mut changes = slices.generation();
        loop {
            changes.borrow_and_update();
            let wanted = slice(node_name, address, ready.borrow_and_update().unwrap_or(false));
            let known = slices.get(&Key::of(&wanted));
            let pause = match timeout(PATIENCE, put(&api, known.as_deref(), wanted, &node)).await {
                Ok(Ok(())) => PERIOD,
                Ok(Err(error)) => {
                    warn!(%error, "cannot publish where DNS answers; trying again");
                    RETRY
                }
                Err(_) => RETRY,
            };
            let (readiness, change) = (ready.changed(), changes.changed());
            tokio::select! {
                () = sleep(pause) => {}
                // A server that is gone will not change any more.
                Ok(()) = readiness => {}
                _ = change, if pause == PERIOD => {}
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(keep).await;
}

async fn put(
    api: &Api<EndpointSlice>,
    known: Option<&EndpointSlice>,
    mut wanted: EndpointSlice,
    node: &impl Fn() -> Option<Node>,
) -> kube::Result<()> {
    if known.is_some_and(|known| known.endpoints == wanted.endpoints && known.ports == wanted.ports) {
        return Ok(());
    }
    let name = wanted.metadata.name.clone().unwrap_or_default();
    let fields = json!({
        "metadata": { "labels": wanted.metadata.labels }, "endpoints": wanted.endpoints, "ports": wanted.ports
    });
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(fields)).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error),
    }
    wanted.metadata.owner_references = node().and_then(|node| node.owner_ref(&())).map(|owner| vec![owner]);
    api.create(&PostParams::default(), &wanted).await?;
    info!(slice = name, "published where DNS answers");
    Ok(())
}
