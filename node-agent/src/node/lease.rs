//! The lease by which the server sees that this node lives.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Node,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

const NAMESPACE: &str = "kube-node-lease";
/// For how long it holds (the kubelet's `nodeLeaseDurationSeconds`).
const SECONDS: i32 = 40;
/// How often it is renewed.
const PERIOD: Duration = Duration::from_secs(10);
/// The pause after a failure: several attempts fit into a lease.
const RETRY: Duration = Duration::from_secs(2);
/// The pause while there is no Node yet.
const EARLY: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

const _: () = assert!(PERIOD.as_secs() * 3 < SECONDS as u64, "a lease bears the loss of two renewals");

/// Renews the lease until `stop`. `node` is asked for the Node, which the lease belongs to.
pub async fn renew(client: &Client, name: &str, node: impl Fn() -> Option<Node>, stop: &CancellationToken) {
    renew_every(PERIOD, client, name, node, stop).await;
}

pub(super) async fn renew_every(
    period: Duration,
    client: &Client,
    name: &str,
    node: impl Fn() -> Option<Node>,
    stop: &CancellationToken,
) {
    let api: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let keep = async {
        loop {
            let pause = match timeout(PATIENCE, renew_once(&api, name, &node)).await {
                Ok(Ok(Renewed::Yes)) => period,
                Ok(Ok(Renewed::Early)) => EARLY,
                Ok(Err(error)) => {
                    warn!(%error, "the node's lease was not renewed; trying again");
                    RETRY
                }
                Err(_) => {
                    warn!("the node's lease was not renewed in time; trying again");
                    RETRY
                }
            };
            sleep(pause).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(keep).await;
}

enum Renewed {
    Yes,
    /// There is no Node yet.
    Early,
}

async fn renew_once(api: &Api<Lease>, name: &str, node: &impl Fn() -> Option<Node>) -> kube::Result<Renewed> {
    // The lease goes when the Node goes, so there must be one.
    let Some(node) = node() else { return Ok(Renewed::Early) };
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(SECONDS),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    let patch = Patch::Merge(json!({ "spec": spec }));
    match api.patch(name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        other => return other.map(|_| Renewed::Yes),
    }
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        owner_references: node.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await.map(|_| Renewed::Yes)
}
