//! The one certificate authority of a cluster, and its one key for tokens, as its servers agree on
//! them.
//!
//! In: the authority of this server, and the id of its key. Out: the config map [`AUTHORITY`]. The
//! first server writes it; one that shares the store and has another authority or key is told so:
//! what it signs would be refused by the others, and the other way round.

use k8s_openapi::api::core::v1::ConfigMap;
use nodeplane_api::meta::Key;
use nodeplane_client::write::{Hands, Write, WriteError};
use serde_json::{Value, json};
use tracing::info;

use super::{AUTHORITY, BootstrapError, Facts, kind_of, plan};
use crate::controllers::caches::row;

const FIELD: &str = "client-ca-file";
/// Our own: which key signs the tokens of service accounts.
const KEY_FIELD: &str = "service-account-key-id";

/// Publishes the authority, or finds it published.
pub(super) async fn claim(hands: &Hands, facts: &Facts) -> Result<(), BootstrapError> {
    let (kind, key) = (row::<ConfigMap>(), key());
    if let Some(found) = hands.get(kind, &key).await? {
        return compare(hands, facts, &found).await;
    }
    match hands.apply(&Write::create(kind, &wanted(facts))).await {
        Ok(_) => {
            info!(config_map = %key, "published the certificate authority");
            Ok(())
        }
        // Another server was faster.
        Err(WriteError::AlreadyExists(_)) => match hands.get(kind, &key).await? {
            Some(found) => compare(hands, facts, &found).await,
            None => Ok(()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn compare(hands: &Hands, facts: &Facts, found: &Value) -> Result<(), BootstrapError> {
    let published = |field: &str| found["data"][field].as_str().unwrap_or_default().trim();
    let (authority, token_key) = (published(FIELD), published(KEY_FIELD));
    let is_known = authority == facts.ca_pem.trim();
    if is_known && token_key == facts.token_key {
        return Ok(());
    }
    if facts.shares_store && !is_known && !authority.is_empty() {
        return Err(BootstrapError::Authority);
    }
    if facts.shares_store && is_known && !token_key.is_empty() {
        return Err(BootstrapError::TokenKey);
    }
    let wanted = wanted(facts);
    if let Some(write) = plan(kind_of(&wanted), &key(), &wanted, Some(found)) {
        hands.apply(&write).await?;
        info!(%write, "the certificate authority or the key for tokens is another one than before");
    }
    Ok(())
}

fn key() -> Key {
    let [namespace, name] = AUTHORITY;
    Key::new(namespace, name)
}

fn wanted(facts: &Facts) -> Value {
    let [namespace, name] = AUTHORITY;
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
        "data": { FIELD: facts.ca_pem, KEY_FIELD: facts.token_key },
    })
}
