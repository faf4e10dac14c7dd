//! What every cluster has from its first moment on: its namespaces, its certificate authority, the
//! Service of the API server with the addresses behind it, the Service of the cluster's DNS, and an
//! APIService for every version that is served.
//!
//! In: a client of the API and the addresses of this server. Out: these objects, as they should
//! be; what others added to them stays, and so do the addresses of servers that share the store. An ordinary API client: what it writes is admitted and
//! validated like everything else. The endpoints of DNS come from the nodes' agents.

mod authority;
mod objects;
mod peers;
#[cfg(test)]
mod tests;
mod versions;

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use kube::Client;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::{self, Key},
};
use nodeplane_client::write::{Hands, Propagation, Write, WriteError};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use peers::Peers;

/// Namespace and name of the config map with the cluster's certificate authority; upstream's
/// API server publishes its own there, too.
pub const AUTHORITY: [&str; 2] = ["kube-system", "extension-apiserver-authentication"];
/// How often what is missing is put back.
const PERIOD: Duration = Duration::from_secs(60);
/// The same after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How often an object is looked at again when somebody else writes it at the same time.
const ATTEMPTS: usize = 5;
/// How long taking leave of other servers may take.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// What the objects say about this server.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The API server's virtual address.
    pub server_ip: Ipv4Addr,
    /// The virtual address of the cluster's DNS.
    pub dns_ip: Ipv4Addr,
    /// The port that this server listens at.
    pub port: u16,
    /// The address at which nodes and pods reach this server; without one the Service of the API
    /// server does not lead to it.
    pub advertised: Option<Ipv4Addr>,
    /// The certificate authority in PEM.
    pub ca_pem: String,
    /// What tells the key for service account tokens from others.
    pub token_key: String,
    /// Whether other servers may have the same store.
    pub shares_store: bool,
}

/// Why the objects are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The cluster has another certificate authority than this server.
    #[error("the cluster has another certificate authority than this server")]
    Authority,
    /// The cluster has another key for tokens than this server.
    #[error("the cluster has another key for service account tokens than this server")]
    TokenKey,
    /// The API refused something; what comes after it was not tried.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes the objects so once.
///
/// # Errors
/// The first refusal; what comes after it was not tried.
pub async fn run(client: &Client, facts: &Facts) -> Result<(), BootstrapError> {
    look(&Hands::new(client.clone()), facts, &mut Peers::default()).await
}

/// Puts back what is missing, until `shutdown`. `failed` tells that a first [`run`] failed; `done` is
/// called whenever nothing is missing.
pub async fn keep(client: Client, facts: Facts, failed: bool, done: impl Fn(), shutdown: CancellationToken) {
    let (hands, mut peers) = (Hands::new(client), Peers::default());
    let period = if facts.shares_store { peers::PULSE } else { PERIOD };
    let mut pause = if failed { RETRY } else { period };
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => break,
        }
        pause = match look(&hands, &facts, &mut peers).await {
            Ok(()) => {
                done();
                period
            }
            Err(error) => {
                warn!(%error, "the cluster's own objects are not as they should be");
                RETRY
            }
        };
    }
    if facts.shares_store {
        match timeout(LEFT_WITHIN, leave(&hands, &facts, &mut peers)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "other servers are not told of the end"),
            Err(_) => warn!("other servers are not told of the end in time"),
        }
    }
}

async fn look(hands: &Hands, facts: &Facts, peers: &mut Peers) -> Result<(), BootstrapError> {
    for object in objects::namespaces() {
        ensure(hands, &object).await?;
    }
    authority::claim(hands, facts).await?;
    for object in objects::priority_classes() {
        ensure(hands, &object).await?;
    }
    for object in objects::services(facts) {
        ensure(hands, &object).await?;
    }
    versions::register(hands).await?;
    let addresses = match facts.shares_store {
        true => peers.meet(hands, facts, Instant::now()).await?,
        false => facts.advertised.into_iter().collect(),
    };
    Ok(lead_to(hands, facts, &addresses).await?)
}

/// Lets the Service of the API server lead to the others.
async fn leave(hands: &Hands, facts: &Facts, peers: &mut Peers) -> Result<(), WriteError> {
    let others = peers.leave(hands, facts).await?;
    // Without any, the next start finds what it would write.
    if others.is_empty() { Ok(()) } else { lead_to(hands, facts, &others).await }
}

/// Makes the Service of the API server lead to these addresses.
async fn lead_to(hands: &Hands, facts: &Facts, addresses: &BTreeSet<Ipv4Addr>) -> Result<(), WriteError> {
    for object in objects::server_endpoints(facts, addresses) {
        if addresses.is_empty() {
            // There may be some of a start with other flags.
            remove(hands, &object).await?;
        } else {
            ensure(hands, &object).await?;
        }
    }
    Ok(())
}

async fn ensure(hands: &Hands, wanted: &Value) -> Result<(), WriteError> {
    let (kind, key) = (kind_of(wanted), key_of(wanted));
    let mut attempts = 1;
    loop {
        let found = hands.get(kind, &key).await?;
        let Some(write) = plan(kind, &key, wanted, found.as_ref()) else { return Ok(()) };
        match hands.apply(&write).await {
            Ok(_) => info!(%write, "bootstrapped"),
            Err(error) if error.is_staleness() && attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn remove(hands: &Hands, object: &Value) -> Result<(), WriteError> {
    let (kind, key) = (kind_of(object), key_of(object));
    let Some(found) = hands.get(kind, &key).await? else { return Ok(()) };
    hands.apply(&Write::delete(kind, key, meta::uid(&found))).await.map(drop)
}

/// What brings an object nearer to what it should be; nothing when it is there.
fn plan(kind: &'static Kind, key: &Key, wanted: &Value, found: Option<&Value>) -> Option<Write> {
    let Some(found) = found else { return Some(Write::create(kind, wanted)) };
    let differs = |field: &str| !wanted["spec"][field].is_null() && wanted["spec"][field] != found["spec"][field];
    if differs("clusterIP") {
        // An address cannot change; the next look makes the Service anew.
        warn!(service = %key, from = %found["spec"]["clusterIP"], to = %wanted["spec"]["clusterIP"], "moving a Service");
        return Some(Write::Delete {
            kind,
            key: key.clone(),
            uid: meta::uid(found).to_owned(),
            revision: None,
            propagation: Propagation::Background,
            grace: None,
        });
    }
    let mut merged = found.clone();
    json_patch::merge(&mut merged, wanted);
    (merged != *found).then(|| Write::replace(kind, None, &merged))
}

fn kind_of(object: &Value) -> &'static Kind {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    kinds::by_api_version(text("apiVersion"), text("kind")).expect("objects of our own are of kinds in the table")
}

fn key_of(object: &Value) -> Key {
    Key::new(meta::namespace(object), meta::name(object))
}
