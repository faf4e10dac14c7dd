//! Objects whose namespace is gone.
//!
//! A server that ends between storing an object and seeing that its namespace is gone leaves one
//! behind. In: what the watch cache knows. Out: such objects removed, whatever their finalizers
//! say; whoever should take these away does not see the object's namespace either.

use std::collections::HashSet;

use nodeplane_api::{
    kinds::{KINDS, Kind},
    status::Status,
};
use tracing::{error, warn};

use super::Engine;
use crate::{
    registry::objects::known,
    store::{StoreError, object::Object, watch_cache::Freshness},
};

impl Engine {
    /// Brings in line what a crash may have left: addresses and ports without a Service, Services
    /// without these, and objects without a namespace. The server should call it now and then.
    ///
    /// # Errors
    /// What the store fails with; the rest waits for the next time.
    pub async fn repair(&self) -> Result<(), StoreError> {
        self.registry.repair().await?;
        let namespaces = known("", "v1", "namespaces").map_err(unavailable)?;
        let living = self.names(namespaces).await?;
        let is_stored = |kind: &&Kind| kind.is_stored() && !kind.is_view();
        let stored = KINDS.iter().filter(is_stored).filter(|kind| kind.is_namespaced());
        for kind in stored {
            let collection = self.objects.collection(kind, "");
            for object in self.objects.cache().list(&collection, Freshness::Any).await?.objects {
                let Some((namespace, name)) = place(&object, &collection) else { continue };
                if !living.contains(namespace) {
                    self.remove_orphan(namespaces, kind, (namespace, name), &object).await?;
                }
            }
        }
        Ok(())
    }

    async fn names(&self, kind: &Kind) -> Result<HashSet<String>, StoreError> {
        let list = self.objects.cache().list(&self.objects.collection(kind, ""), Freshness::Any).await?;
        Ok(list.objects.iter().map(|object| object.name().to_owned()).collect())
    }

    /// The cache may have heard of the object and not yet of its namespace; the store knows both.
    async fn remove_orphan(
        &self,
        namespaces: &Kind,
        kind: &Kind,
        (namespace, name): (&str, &str),
        object: &Object,
    ) -> Result<(), StoreError> {
        if self.objects.find(namespaces, "", namespace).await.map_err(unavailable)?.is_some() {
            return Ok(());
        }
        match self.objects.delete(object.key(), object.revision()).await {
            Ok(_) => {
                warn!(kind = kind.plural, namespace, name, "removed an object without a namespace");
                self.registry.strategy(kind).release(&object.tree(), None, u64::MAX).await;
                Ok(())
            }
            // Somebody is at it.
            Err(StoreError::NotFound | StoreError::Conflict { .. }) => Ok(()),
            Err(failed) => {
                error!(kind = kind.plural, namespace, name, %failed, "an object without a namespace stays");
                Err(failed)
            }
        }
    }
}

/// Namespace and name of an object under the prefix of its kind.
fn place<'a>(object: &'a Object, collection: &str) -> Option<(&'a str, &'a str)> {
    object.key().strip_prefix(collection)?.split_once('/')
}

fn unavailable(status: Status) -> StoreError {
    StoreError::Unavailable(anyhow::Error::new(status))
}
