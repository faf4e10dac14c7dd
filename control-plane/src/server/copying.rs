//! `store copy`: a cluster moves from one store into the other.
//!
//! In: a [`CopyConfig`]. Out: the copy, with sentences on its way to standard error and what was
//! copied on standard output. Refuses while a server uses a store: the embedded one is locked by
//! it, and in etcd there is the lease of whoever leads.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::storage;
use crate::{
    config::{CopyConfig, StoreKind},
    controllers::LEADER,
    store::{
        Store,
        copy::{self, CopyError, Summary},
        embedded::{EmbeddedStore, OpenError},
        etcd::{EtcdOptions, EtcdStore},
        keys::Keys,
    },
};

/// Copies a cluster.
///
/// # Errors
/// When a store cannot be had or is in use, or the target holds something; the message says what
/// to do about it.
pub async fn copy_store(config: &CopyConfig) -> Result<()> {
    let keys = Keys::new(&config.prefix);
    let etcd = etcd(config).await?;
    let (file, endpoints) = (config.state.store().display().to_string(), config.etcd.endpoints.join(","));
    let listener = |sentence: &str| eprintln!("{sentence}");
    let summary = match config.from {
        StoreKind::Embedded => {
            let source = open_source(config).await?;
            check_idle(&etcd, &keys).await?;
            eprintln!("copying {} from {file} to etcd at {endpoints}", keys.root());
            copy::into_store(&*source, &etcd, &keys, config.overwrite, &listener).await
        }
        StoreKind::Etcd => {
            check_idle(&etcd, &keys).await?;
            let dir = config.state.path();
            storage::make_private(dir).with_context(|| format!("--state-dir {}: cannot be made", dir.display()))?;
            eprintln!("copying {} from etcd at {endpoints} to {file}", keys.root());
            copy::into_file(&etcd, &config.state.store(), &keys, config.overwrite, &listener).await
        }
    };
    let summary = summary.map_err(|error| refusal(&error))?;
    println!("{}", told(&summary));
    Ok(())
}

async fn etcd(config: &CopyConfig) -> Result<EtcdStore> {
    let options = storage::etcd_options(&config.etcd, &config.prefix)?;
    // The history that is copied from must stay until the copy is made.
    storage::connect(&EtcdOptions { compact_every: None, ..options }).await
}

/// The embedded store, which is never made here.
async fn open_source(config: &CopyConfig) -> Result<Arc<dyn Store>> {
    let path = config.state.store();
    if !path.exists() {
        bail!("--state-dir {}: there is no embedded store", config.state.path().display());
    }
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path)).await?;
    Ok(Arc::new(opened.map_err(|error| refusal(&error.into()))?))
}

/// Whether some server leads the cluster in etcd.
async fn check_idle(etcd: &EtcdStore, keys: &Keys) -> Result<()> {
    let [namespace, name] = LEADER;
    let key = keys.collection("coordination.k8s.io", "leases", namespace) + name;
    let Some(lease) = etcd.get(&key).await.context("reading etcd")? else { return Ok(()) };
    let lease: Value = serde_json::from_slice(&lease.value).unwrap_or_default();
    if let Some(holder) = holder_at(&lease, Timestamp::now()) {
        bail!("the server {holder} uses the cluster in etcd; stop all servers, and wait some 20 s if one was killed");
    }
    Ok(())
}

/// Who holds a lease at a time, if somebody does.
fn holder_at(lease: &Value, now: Timestamp) -> Option<&str> {
    let spec = &lease["spec"];
    let holder = spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty())?;
    let renewed: Timestamp = spec["renewTime"].as_str()?.parse().ok()?;
    let lasts = Duration::from_secs(spec["leaseDurationSeconds"].as_u64().unwrap_or(0));
    // Beyond the end of the calendar is never.
    (renewed.checked_add(lasts).unwrap_or(Timestamp::MAX) > now).then_some(holder)
}

/// What went wrong, and what to do about it.
fn refusal(error: &CopyError) -> anyhow::Error {
    let remedy = match error {
        CopyError::NotEmpty { .. } => "; add --overwrite to replace it",
        CopyError::Unfinished => "; add --overwrite to make it again",
        CopyError::Nothing(_) => "; is --etcd-prefix right?",
        CopyError::Different { .. } => "; stop all servers and copy again with --overwrite",
        CopyError::Open(OpenError::InUse(_)) => "; stop that server",
        CopyError::Open(OpenError::Failed { .. }) | CopyError::Store { .. } | CopyError::File { .. } => "",
    };
    anyhow!("{error}{remedy}")
}

fn told(summary: &Summary) -> String {
    let Summary { objects, claims, others, mortal, source_revision, target_revision } = summary;
    let others = if *others > 0 { format!(", {others} other keys") } else { String::new() };
    format!(
        "copied {objects} objects ({mortal} of them for a time), {claims} claims{others} as of revision {source_revision}; \
         the target is at revision {target_revision}; both are the same"
    )
}

#[cfg(test)]
mod tests;
