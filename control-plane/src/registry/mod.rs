//! What differs from kind to kind: defaults, validation, allocation, deletion with grace.
//!
//! The write engine calls a [`Strategy`] at fixed points; a kind with nothing special has none.

pub mod admission;
mod apps;
mod autoscaling;
mod batch;
#[cfg(test)]
mod cases;
mod certificates;
mod coordination;
mod core;
pub mod engine;
mod fields;
pub mod metadata;
mod networking;
mod node;
pub mod objects;
mod pod_template;
mod policy;
mod rbac;
mod registration;
pub mod reservation;
mod scheduling;
mod shares;
mod storage;
mod workload;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use nodeplane_api::{
    kinds::{Kind, Subresource},
    names,
    status::FieldErrors,
};
use serde_json::Value;

use self::{core::ServiceStrategy, engine::Propagation};
use crate::store::{Store, StoreError, keys::Keys};

pub use metadata::{validate_meta, validate_meta_update};
pub use reservation::{Attempt, NotAllocated};

/// Time that events are kept for, as by upstream.
const EVENT_LIFE: Duration = Duration::from_secs(3600);

/// The strategies of all kinds, with the allocators that some of them need.
pub struct Registry {
    service: ServiceStrategy,
    event_life: Duration,
}

/// What the registry must know about the cluster.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Where in the store what lies.
    pub keys: Keys,
    /// Network address and prefix length of the ClusterIPs.
    pub service_cidr: (Ipv4Addr, u8),
}

impl Registry {
    /// How often the server should call [`Registry::repair`].
    pub const REPAIR_PERIOD: Duration = Duration::from_secs(180);

    /// The registry over a store.
    pub fn new(store: Arc<dyn Store>, config: RegistryConfig) -> Self {
        let RegistryConfig { keys, service_cidr } = config;
        Self { service: ServiceStrategy::new(store, &keys, service_cidr), event_life: EVENT_LIFE }
    }

    /// The same registry, with another time that events are kept for.
    #[must_use]
    pub fn with_event_life(mut self, life: Duration) -> Self {
        self.event_life = life;
        self
    }

    /// How long an object is kept after its last change, if not for ever.
    pub fn life(&self, kind: &Kind) -> Option<Duration> {
        self.strategy(kind).is_passing().then_some(self.event_life)
    }

    /// What differs for this kind. A view's strategy is asked about objects as they are stored.
    pub fn strategy(&self, kind: &Kind) -> &dyn Strategy {
        match (kind.group, kind.kind) {
            ("", "Service") => &self.service,
            ("", name) => core::strategy(name),
            ("apiregistration.k8s.io", "APIService") => &registration::ApiServiceStrategy,
            ("apps", name) => apps::strategy(name),
            ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::AutoscalerStrategy,
            ("batch", name) => batch::strategy(name),
            ("certificates.k8s.io", "CertificateSigningRequest") => &certificates::SigningRequestStrategy,
            ("coordination.k8s.io", "Lease") => &coordination::LeaseStrategy,
            ("discovery.k8s.io", "EndpointSlice") => &core::EndpointSliceStrategy,
            ("networking.k8s.io", name) => networking::strategy(name),
            ("node.k8s.io", "RuntimeClass") => &node::RuntimeClassStrategy,
            ("policy", "PodDisruptionBudget") => &policy::BudgetStrategy,
            ("rbac.authorization.k8s.io", name) => rbac::strategy(name),
            ("scheduling.k8s.io", "PriorityClass") => &scheduling::PriorityClassStrategy,
            ("storage.k8s.io", name) => storage::strategy(name),
            ("events.k8s.io", "Event") => &core::EventStrategy { is_strict: true },
            _ => plain(),
        }
    }

    /// Brings reservations (ClusterIPs, node ports) in line with the stored Services. Run it
    /// once before serving and then every [`Registry::REPAIR_PERIOD`].
    pub async fn repair(&self) -> Result<(), StoreError> {
        self.service.repair(Timestamp::now()).await
    }
}

/// How deletion of an object is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Remove it now.
    Immediate,
    /// Mark it, and let its keeper remove it after this many seconds.
    Graceful {
        /// Seconds, at least 1.
        seconds: i64,
    },
}

/// The peculiarities of one kind. Every method has the answer of a kind without any.
///
/// Order on create: `default`, `prepare_for_create`, (admission), `allocate`, `validate`,
/// `validate_create`, (admission's last word), store.
/// Order on update: `default`, `prepare_for_update`, (admission), `allocate`, `validate`,
/// `validate_update`, (admission's last word), store, `release`. `give_up` comes instead of what
/// follows when nothing is stored. Objects have passed the kind's shape before.
#[async_trait]
pub trait Strategy: Send + Sync {
    /// Fills what the client left out. Idempotent.
    fn default(&self, _object: &mut Value) {}

    /// Clears what a client may not set on create, such as `.status`.
    fn prepare_for_create(&self, object: &mut Value) {
        clear_status(object);
    }

    /// Keeps what an update may not touch, such as `.status`.
    fn prepare_for_update(&self, object: &mut Value, old: &Value) {
        keep(object, old, "status");
    }

    /// Everything that is wrong with an object by itself, besides its metadata.
    fn validate(&self, _object: &Value) -> FieldErrors {
        FieldErrors::default()
    }

    /// What is wrong with an object only when it is new.
    fn validate_create(&self, _object: &Value) -> FieldErrors {
        FieldErrors::default()
    }

    /// Everything that is wrong with a change.
    fn validate_update(&self, _object: &Value, _old: &Value) -> FieldErrors {
        FieldErrors::default()
    }

    /// Everything that is wrong with a change of `.status`.
    fn validate_status_update(&self, _object: &Value, _old: &Value) -> FieldErrors {
        FieldErrors::default()
    }

    /// Settles what a write to a part changes, where its row does not say it all.
    fn prepare_for_part(&self, _part: Subresource, _object: &mut Value, _old: &Value) {}

    /// Everything that is wrong with a change of a part.
    fn validate_part(&self, _part: Subresource, object: &Value, old: &Value) -> FieldErrors {
        self.validate_status_update(object, old)
    }

    /// Sentences for the `Warning` header.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Further sentences for the `Warning` header of an object that is new.
    fn create_warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// For a kind that allocates: the object as validation can look at it before, with something
    /// in each field that must be there and will be.
    fn with_placeholders(&self, _object: &Value) -> Option<Value> {
        None
    }

    /// Reserves what must be unique in the cluster (ClusterIPs, node ports) and writes it into
    /// the object. `old` is the stored object on update; what it has need not be reserved. When
    /// it fails, nothing stays reserved. A dry attempt keeps nothing.
    async fn allocate(
        &self,
        _object: &mut Value,
        _old: Option<&Value>,
        _attempt: &Attempt,
    ) -> Result<(), NotAllocated> {
        Ok(())
    }

    /// Gives back what the attempt reserved for an object that was not stored after all.
    async fn give_up(&self, _object: &Value, _old: Option<&Value>, _attempt: &Attempt) {}

    /// Gives back what `object` held and `kept` (the object as it was stored at this revision, or
    /// nothing when it is gone) does not hold.
    async fn release(&self, _object: &Value, _kept: Option<&Value>, _stored_at: u64) {}

    /// Whether deletion is immediate or graceful, given the seconds that the client asked for.
    fn deletion(&self, _object: &Value, _grace_seconds: Option<i64>) -> Deletion {
        Deletion::Immediate
    }

    /// Marks an object for deletion in the kind's own way (a namespace turns `Terminating`).
    fn on_deletion_marked(&self, _object: &mut Value) {}

    /// Whether an object with a `deletionTimestamp` and no metadata finalizers may go now
    /// (a namespace also waits for `.spec.finalizers`, a pod for its grace to be 0).
    fn is_deletion_complete(&self, _object: &Value) -> bool {
        true
    }

    /// Which names the kind takes.
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// Whether `metadata.generation` counts the changes of what is asked for.
    fn counts_generations(&self) -> bool {
        false
    }

    /// Whether other objects may name one of this kind as their owner.
    fn has_dependents(&self) -> bool {
        true
    }

    /// Whether objects go by themselves, some time after their last change.
    fn is_passing(&self) -> bool {
        false
    }

    /// What becomes of dependents when neither the client nor a finalizer says it.
    fn default_propagation(&self) -> Propagation {
        Propagation::Background
    }

    /// The sentence for the `Warning` header of a deletion that says nothing about dependents.
    fn deletion_warning(&self) -> Option<&'static str> {
        None
    }

    /// Whether `DELETE` answers with the object that is gone and not with a `Status`.
    fn returns_deleted_object(&self) -> bool {
        false
    }

    /// Whether `PUT` may come without a `resourceVersion`.
    fn allows_unconditional_update(&self) -> bool {
        true
    }
}

/// Which names a kind takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain, at most 253 characters.
    Subdomain,
    /// RFC 1123 label, at most 63 characters.
    Label,
    /// RFC 1035 label: starts with a letter, at most 63 characters.
    Label1035,
    /// Whatever can stand in a path.
    PathSegment,
}

impl NameRule {
    /// What is wrong with a name, in upstream's words.
    pub fn check(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => names::subdomain(name),
            Self::Label => names::label_1123(name),
            Self::Label1035 => names::label_1035(name),
            Self::PathSegment => names::path_segment(name),
        }
    }
}

/// A kind with nothing special.
pub struct Plain;

impl Strategy for Plain {}

/// What differs for a kind with nothing special: nothing.
fn plain() -> &'static dyn Strategy {
    &Plain
}

/// Removes `.status`.
pub fn clear_status(object: &mut Value) {
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
}

/// Makes a top-level field of `object` the same as in `old`.
pub fn keep(object: &mut Value, old: &Value, field: &str) {
    let Some(map) = object.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => {
            map.insert(field.to_owned(), value.clone());
        }
        None => {
            map.remove(field);
        }
    }
}
