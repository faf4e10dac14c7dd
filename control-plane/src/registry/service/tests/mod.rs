//! Services: what is filled in, what is wrong, what may change, and which addresses and ports
//! they get.

mod allocation;
mod changes;
mod crashes;
mod shape;

use std::{net::Ipv4Addr, sync::Arc};

use nodeplane_api::meta;
use serde_json::{Value, json};

use super::ServiceStrategy;
use crate::{
    registry::{Strategy, cases},
    store::{Store, embedded::EmbeddedStore, keys::Keys},
};

/// A store, and strategies over it.
struct Bed {
    store: Arc<dyn Store>,
    services: ServiceStrategy,
    cidr: (Ipv4Addr, u8),
    _dir: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        Self::with_range([10, 96, 0, 0], 16)
    }

    fn with_range(network: [u8; 4], length: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        let cidr = (Ipv4Addr::from(network), length);
        Self { services: ServiceStrategy::new(store.clone(), &Keys::new("/registry"), cidr), store, cidr, _dir: dir }
    }

    /// A server that starts anew on the same store.
    fn restart(&mut self) {
        self.services = ServiceStrategy::new(self.store.clone(), &Keys::new("/registry"), self.cidr);
    }

    /// What creation does before it stores: defaults, allocation, validation.
    async fn draft(&self, service: &Value) -> Result<Value, String> {
        let mut service = cases::created(&self.services, service);
        self.services.allocate(&mut service, None, false).await.map_err(|status| status.message)?;
        assert_eq!(cases::said(&self.services.validate(&service)), Vec::<String>::new());
        Ok(service)
    }

    /// Creates a Service.
    async fn create(&self, service: &Value) -> Result<Value, String> {
        let service = self.draft(service).await?;
        let bytes = service.to_string().into();
        self.store.create(&key(&service), bytes).await.unwrap();
        Ok(service)
    }

    /// Replaces a Service.
    async fn update(&self, service: &Value, old: &Value) -> Result<Value, String> {
        let mut new = cases::updated(&self.services, service, old);
        self.services.allocate(&mut new, Some(old), false).await.map_err(|status| status.message)?;
        let mut errors = self.services.validate(&new);
        errors.extend(self.services.validate_update(&new, old));
        if !errors.is_empty() {
            self.services.release(&new, Some(old)).await;
            return Err(cases::said(&errors).join("; "));
        }
        let current = self.store.get(&key(&new)).await.unwrap().unwrap();
        self.store.update(&key(&new), new.to_string().into(), current.revision).await.unwrap();
        self.services.release(old, Some(&new)).await;
        Ok(new)
    }

    /// Deletes a Service from the store; what it held stays, as after a crash.
    async fn forget(&self, service: &Value) {
        let current = self.store.get(&key(service)).await.unwrap().unwrap();
        self.store.delete(&key(service), current.revision).await.unwrap();
    }
}

fn key(service: &Value) -> String {
    format!("/registry/objects/services/default/{}", meta::name(service))
}

/// A Service with one port.
fn service(name: &str, spec: &Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}"),
                      "creationTimestamp": "2025-01-01T00:00:00Z" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
    });
    json_patch::merge(&mut service["spec"], spec);
    service
}

fn ip(service: &Value) -> String {
    service["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned()
}

fn node_port(service: &Value, index: usize) -> u64 {
    service["spec"]["ports"][index]["nodePort"].as_u64().unwrap_or_default()
}
