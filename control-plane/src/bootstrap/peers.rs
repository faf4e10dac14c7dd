//! The servers that share a store, as they know of each other.
//!
//! In: a Lease per server, which each renews. Out: the addresses of those that live, so that the
//! Service of the API server leads to all of them and none drops the others. A server is gone when
//! its lease has not changed for as long as it lasts, by the clock of the one that looks; whoever
//! sees that removes the lease. The names are those of upstream's API server identities.

use std::{
    collections::{BTreeSet, HashMap},
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use nodeplane_api::meta::{self, Key};
use nodeplane_client::write::{Hands, Propagation, Write, WriteError};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::Facts;
use crate::controllers::caches::row;

const NAMESPACE: &str = "kube-system";
/// Marks the lease of a server.
const LABEL: &str = "apiserver.kubernetes.io/identity";
const SERVER: &str = "kube-apiserver";
/// How often a server renews its lease.
pub(super) const PULSE: Duration = Duration::from_secs(10);
/// How long the lease of a server lasts.
const LASTS: Duration = Duration::from_secs(20);

/// What one server has seen of all.
#[derive(Default)]
pub(super) struct Peers {
    /// Revisions of leases, and since when they are so.
    seen: HashMap<String, (String, Instant)>,
}

impl Peers {
    /// Tells the others that this server lives, and returns where all that live are.
    pub(super) async fn meet(
        &mut self,
        hands: &Hands,
        facts: &Facts,
        now: Instant,
    ) -> Result<BTreeSet<Ipv4Addr>, WriteError> {
        let own = own(facts);
        if let Some(own) = own {
            renew(hands, own).await?;
        }
        let mut living = BTreeSet::from_iter(facts.advertised);
        for lease in servers(hands).await? {
            let Some(address) = address(&lease) else { continue };
            if Some(address) == own || self.lives(&lease, now) {
                // One Service has one target port: another is not reached through it.
                living.extend((address.port() == facts.port).then_some(*address.ip()));
            } else {
                info!(server = %address, "a server is gone");
                remove(hands, &lease).await?;
            }
        }
        Ok(living)
    }

    /// Tells the others that this server ends, and returns where they are.
    pub(super) async fn leave(&mut self, hands: &Hands, facts: &Facts) -> Result<BTreeSet<Ipv4Addr>, WriteError> {
        let mut others = BTreeSet::new();
        for lease in servers(hands).await? {
            let Some(address) = address(&lease) else { continue };
            if Some(address) == own(facts) {
                remove(hands, &lease).await?;
            } else if address.port() == facts.port && self.lives(&lease, Instant::now()) {
                others.insert(*address.ip());
            }
        }
        Ok(others)
    }

    fn lives(&mut self, lease: &Value, now: Instant) -> bool {
        let revision = meta::text(lease, "resourceVersion");
        let seen = self.seen.entry(meta::name(lease).to_owned()).or_insert_with(|| (revision.to_owned(), now));
        if seen.0 != revision {
            *seen = (revision.to_owned(), now);
        }
        now.saturating_duration_since(seen.1) <= LASTS
    }
}

fn own(facts: &Facts) -> Option<SocketAddrV4> {
    facts.advertised.map(|address| SocketAddrV4::new(address, facts.port))
}

async fn servers(hands: &Hands) -> Result<Vec<Value>, WriteError> {
    let mut leases = hands.list(row::<Lease>(), NAMESPACE).await?;
    leases.retain(|lease| lease["metadata"]["labels"][LABEL] == SERVER);
    Ok(leases)
}

/// Where the server of a lease is.
fn address(lease: &Value) -> Option<SocketAddrV4> {
    lease["spec"]["holderIdentity"].as_str()?.parse().ok()
}

async fn renew(hands: &Hands, own: SocketAddrV4) -> Result<(), WriteError> {
    let key = Key::new(NAMESPACE, format!("apiserver-{}-{}", own.ip(), own.port()));
    let spec = LeaseSpec {
        holder_identity: Some(own.to_string()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    // Nobody else has this name, so that nothing needs to be read before.
    let patch = json!({ "metadata": { "labels": { LABEL: SERVER } }, "spec": spec });
    let merge = Write::Merge { kind: row::<Lease>(), key: key.clone(), part: None, patch };
    match hands.apply(&merge).await {
        Err(WriteError::NotFound(_)) => {}
        other => return other.map(drop),
    }
    let metadata = ObjectMeta {
        name: Some(key.name),
        namespace: Some(key.namespace),
        labels: Some([(LABEL.to_owned(), SERVER.to_owned())].into()),
        ..ObjectMeta::default()
    };
    hands.apply(&Write::create(row::<Lease>(), &Lease { metadata, spec: Some(spec) })).await.map(drop)
}

/// Removes a lease as it was seen: one that was renewed meanwhile stays.
async fn remove(hands: &Hands, lease: &Value) -> Result<(), WriteError> {
    let removal = Write::Delete {
        kind: row::<Lease>(),
        key: Key::of_value(lease),
        uid: meta::uid(lease).to_owned(),
        revision: Some(meta::text(lease, "resourceVersion").to_owned()),
        propagation: Propagation::Background,
        grace: None,
    };
    match hands.apply(&removal).await {
        Err(error) if error.is_staleness() => Ok(()),
        other => other.map(drop),
    }
}
