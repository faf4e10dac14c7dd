//! Services: what is filled in, what is wrong, what may change, and which addresses and ports
//! they get.

mod allocation;
mod changes;
mod claims;
mod crashes;
mod shape;

use std::{net::Ipv4Addr, sync::Arc};

use nodeplane_api::{kinds, meta, status::Status};
use serde_json::{Value, json};

use super::ServiceStrategy;
use crate::{
    registry::{Attempt, NotAllocated, Strategy, cases},
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
        let allocated = self.services.allocate(&mut service, None, &Attempt::new(false)).await;
        allocated.map_err(|why| said(&service, why))?;
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
        let attempt = Attempt::new(false);
        self.services.allocate(&mut new, Some(old), &attempt).await.map_err(|why| said(old, why))?;
        let mut errors = self.services.validate(&new);
        errors.extend(self.services.validate_update(&new, old));
        if !errors.is_empty() {
            self.services.give_up(&new, Some(old), &attempt).await;
            return Err(cases::said(&errors).join("; "));
        }
        let current = self.store.get(&key(&new)).await.unwrap().unwrap();
        let stored = self.store.update(&key(&new), new.to_string().into(), current.revision).await.unwrap();
        self.services.release(old, Some(&new), stored).await;
        Ok(new)
    }

    /// Deletes a Service from the store; what it held stays, as after a crash.
    async fn forget(&self, service: &Value) {
        let current = self.store.get(&key(service)).await.unwrap().unwrap();
        self.store.delete(&key(service), current.revision).await.unwrap();
    }
}

/// What a client is told.
fn said(service: &Value, why: NotAllocated) -> String {
    let kind = kinds::by_plural("", "v1", "services").unwrap();
    match why {
        NotAllocated::Invalid(errors) => Status::invalid(kind, meta::name(service), &errors).message,
        NotAllocated::Failed(status) => status.message,
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
