//! Opens the store that the configuration names.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use tracing::info;

use crate::{
    config::{Config, EtcdConfig, StateDir, StoreConfig},
    store::{
        Store,
        embedded::{EmbeddedStore, OpenError},
        etcd::{EtcdOptions, EtcdStore, EtcdTls, EtcdUser},
        keys::Keys,
    },
};

/// Makes the state directory if need be, and opens the store.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>> {
    let dir = config.state.path();
    make_private(dir).with_context(|| format!("--state-dir {}: cannot be made", dir.display()))?;
    match &config.store {
        StoreConfig::Embedded => embedded(&config.state).await,
        StoreConfig::Etcd(etcd) => {
            let options = EtcdOptions { compact_every: config.compact_every, ..etcd_options(etcd, &config.prefix)? };
            let store = connect(&options).await?;
            info!(endpoints = etcd.endpoints.join(","), "connected to etcd");
            Ok(Arc::new(store))
        }
    }
}

/// How to reach etcd, with what is in the files that the flags name.
pub(super) fn etcd_options(etcd: &EtcdConfig, prefix: &str) -> Result<EtcdOptions> {
    let mut options = EtcdOptions { root: prefix.to_owned(), ..EtcdOptions::new(&etcd.endpoints) };
    if let Some((ca, identity)) = &etcd.tls {
        let identity = identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        options.tls = Some(EtcdTls::read(ca, identity).context("--etcd-cafile, --etcd-certfile, --etcd-keyfile")?);
    }
    if let Some((name, password)) = &etcd.user {
        options.user = Some(EtcdUser::read(name, password).context("--etcd-password-file")?);
    }
    Ok(options)
}

/// A copy into the store that did not come to its end is no cluster.
pub(super) async fn check_whole(store: &dyn Store, keys: &Keys) -> Result<()> {
    match store.get(&keys.copying()).await.context("reading the store")? {
        None => Ok(()),
        Some(_) => bail!(
            "a copy into this store has not come to its end; make it again with nodeplane-server store copy --overwrite"
        ),
    }
}

/// A directory that is there keeps its mode.
pub(super) fn make_private(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

async fn embedded(state: &StateDir) -> Result<Arc<dyn Store>> {
    let path = state.store();
    let shown = path.display().to_string();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path)).await?;
    let store = opened.map_err(|error| {
        let remedy = match error {
            OpenError::InUse(_) => "stop that server, or give this one a --state-dir of its own",
            OpenError::Failed { .. } => "--state-dir must be on a writable disk with room, and the file whole",
        };
        anyhow!("{error}; {remedy}")
    })?;
    info!(path = shown, "opened the embedded store");
    Ok(Arc::new(store))
}

/// Connects to etcd.
pub(super) async fn connect(options: &EtcdOptions) -> Result<EtcdStore> {
    let endpoints = options.endpoints.join(",");
    let store = EtcdStore::connect(options).await;
    store.with_context(|| format!("--etcd-endpoints {endpoints}: is etcd running there?"))
}
