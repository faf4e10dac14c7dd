//! What every cluster has from its first moment on: its namespaces, the Service of the API server
//! with the address behind it, and the Service of the cluster's DNS.
//!
//! In: a client of the API and the addresses of this server. Out: these objects, as they should
//! be; what others added to them stays. An ordinary API client: what it writes is admitted and
//! validated like everything else. The endpoints of DNS come from the nodes' agents.

mod objects;
#[cfg(test)]
mod tests;

use std::{net::Ipv4Addr, time::Duration};

use kube::Client;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::{self, Key},
};
use nodeplane_client::write::{Hands, Propagation, Write, WriteError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often what is missing is put back.
const PERIOD: Duration = Duration::from_secs(60);
/// The same after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How often an object is looked at again when somebody else writes it at the same time.
const ATTEMPTS: usize = 5;

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
    /// server has no endpoint.
    pub advertised: Option<Ipv4Addr>,
}

/// Makes the objects so once.
///
/// # Errors
/// The first refusal of the API; what comes after it was not tried.
pub async fn run(client: &Client, facts: &Facts) -> Result<(), WriteError> {
    let hands = Hands::new(client.clone());
    for object in objects::present(facts) {
        ensure(&hands, &object).await?;
    }
    for object in objects::absent(facts) {
        remove(&hands, &object).await?;
    }
    Ok(())
}

/// Puts back what is missing, until `shutdown`. `failed` tells that a first [`run`] failed.
pub async fn keep(client: Client, facts: Facts, failed: bool, shutdown: CancellationToken) {
    let mut pause = if failed { RETRY } else { PERIOD };
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        pause = match run(&client, &facts).await {
            Ok(()) => PERIOD,
            Err(error) => {
                warn!(%error, "the cluster's own objects are not as they should be");
                RETRY
            }
        };
    }
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
