//! Counts what namespaces with quotas use, and writes it into the status of the quotas.
//!
//! In: ResourceQuotas, Pods and Services, from caches; how many objects of other kinds there are;
//! claims of volumes, from the server. Out: `.status`. The API server notes each new object there by
//! itself; here what went is taken back, and what was noted in vain. Behaviour of upstream's
//! `pkg/controller/resourcequota`.

mod plan;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Service};
use kube::Resource;
use nodeplane_api::{
    kinds::{KINDS, Kind, Subresource},
    meta::Key,
    quantity::Quantity,
    usage::{self, Amounts},
};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::{Change, Informer, Object},
    write::{Hands, Write, WriteError},
};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    caches::{Caches, row},
    inventory::Inventory,
};

/// How often everything is counted again, whatever happens. Upstream's
/// `--resource-quota-sync-period`.
const PERIOD: Duration = Duration::from_secs(300);

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, inventory: Inventory, shutdown: CancellationToken) {
    let quotas = || caches.quotas.clone();
    let (of_pods, of_services, all) = (quotas(), quotas(), quotas());
    let mut controller = Controller::new("resource-quota", hands)
        .on_change(&caches.quotas, |change| if asks_otherwise(change) { vec![change.key.clone()] } else { Vec::new() })
        .on(&caches.pods, move |pod: &Pod| quotas_in(&of_pods, pod.metadata.namespace.as_deref()))
        .on(&caches.services, move |service: &Service| quotas_in(&of_services, service.metadata.namespace.as_deref()))
        .resync(PERIOD, move || all.with(|quotas| quotas.keys().cloned().collect()));
    for (_, kind, informer) in inventory.all().filter(|(_, kind, _)| is_counted_by_number(kind)) {
        let quotas = quotas();
        controller = controller.on_untyped(kind, informer, move |change| match (change.old, change.new) {
            // Claims also change in size.
            (Some(_), Some(_)) if kind.plural != "persistentvolumeclaims" => Vec::new(),
            _ => quotas_in(&quotas, Some(&change.key.namespace)),
        });
    }
    controller.run(2, Quotas { caches, inventory }, shutdown).await;
}

/// What only the status says, this controller or the API server wrote itself.
fn asks_otherwise(change: &Change<'_, ResourceQuota>) -> bool {
    let spec = |quota: Option<&Arc<ResourceQuota>>| quota.map(|quota| quota.spec.clone());
    spec(change.old) != spec(change.new)
}

/// Kinds whose caches are not needed to know what they use, and that are not quotas themselves.
fn is_counted_by_number(kind: &Kind) -> bool {
    let has_cache = kind.group.is_empty() && matches!(kind.plural, "pods" | "services" | "resourcequotas");
    usage::is_counted(kind) && !has_cache
}

fn quotas_in(quotas: &Informer<ResourceQuota>, namespace: Option<&str>) -> Vec<Key> {
    let is_here = |key: &&Key| Some(&*key.namespace) == namespace;
    quotas.with(|quotas| quotas.keys().filter(is_here).cloned().collect())
}

struct Quotas {
    caches: Caches,
    inventory: Inventory,
}

impl Reconcile for Quotas {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(quota) = self.caches.quotas.get(key) else { return Ok(Next::Wait) };
        let spec = serde_json::to_value(&quota.spec).unwrap_or_default();
        let hard = usage::read(&spec["hard"]);
        let mut used = Amounts::new();
        for kind in KINDS.iter().filter(|kind| usage::is_counted(kind)) {
            let names: Vec<&str> = hard.keys().map(String::as_str).filter(|name| usage::is_about(kind, name)).collect();
            if !names.is_empty() {
                usage::add(&mut used, &self.used(kind, &names, &spec, &key.namespace, apply.hands()).await?);
            }
        }
        let status = plan::status(&quota, &used);
        if quota.status.as_ref() != Some(&status) {
            let changed = ResourceQuota { status: Some(status), ..(*quota).clone() };
            apply.one(&Write::replace(row::<ResourceQuota>(), Some(Subresource::Status), &changed)).await?;
        }
        Ok(Next::Wait)
    }
}

impl Quotas {
    /// What objects of a kind use of these names.
    async fn used(
        &self,
        kind: &'static Kind,
        names: &[&str],
        spec: &Value,
        namespace: &str,
        hands: &Hands,
    ) -> Result<Amounts, WriteError> {
        let is_scoped = !usage::chooses(spec, kind, &Value::Null);
        let objects = match kind.plural {
            "pods" if kind.group.is_empty() => cached(&self.caches.pods, namespace),
            _ if is_scoped => Vec::new(),
            "services" if kind.group.is_empty() => cached(&self.caches.services, namespace),
            "persistentvolumeclaims" if kind.group.is_empty() => hands.list(kind, namespace).await?,
            _ => return Ok(plan::counted(names, self.count(kind, namespace))),
        };
        Ok(plan::used(kind, names, spec, &objects, Timestamp::now()))
    }

    fn count(&self, kind: &'static Kind, namespace: &str) -> Quantity {
        let Some(informer) = self.inventory.of(kind) else { return Quantity::ZERO };
        let count = informer.with(|objects| objects.keys().filter(|key| key.namespace == namespace).count());
        Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

fn cached<K: Object + Resource<DynamicType = ()> + Serialize>(
    informer: &Arc<Informer<K>>,
    namespace: &str,
) -> Vec<Value> {
    informer.with(|objects| {
        let here = objects.iter().filter(|(key, _)| key.namespace == namespace);
        here.filter_map(|(_, object)| serde_json::to_value(&**object).ok()).collect()
    })
}
