//! An APIService for every version of every group that is served (upstream's autoregistration, with
//! its priorities). Made when it is missing; what others changed stays.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use nodeplane_api::{kinds::KINDS, meta};
use nodeplane_client::write::{Hands, Write, WriteError};
use serde_json::{Value, json};
use tracing::info;

use crate::controllers::caches::row;

/// The group of APIServices themselves, which has none.
const OWN: &str = "apiregistration.k8s.io";
/// How many are made at the same time.
const AT_ONCE: usize = 8;

/// Priorities of groups and versions: clients prefer the higher.
const PRIORITIES: [(&str, &str, i32, i32); 19] = [
    ("", "v1", 18_000, 1),
    ("apps", "v1", 17_800, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("autoscaling", "v1", 17_500, 15),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
];

/// Makes those that are missing.
pub(super) async fn register(hands: &Hands) -> Result<(), WriteError> {
    let kind = row::<APIService>();
    let found = hands.list(kind, "").await?;
    let found: BTreeSet<&str> = found.iter().map(meta::name).collect();
    let missing = wanted().into_iter().filter(|service| !found.contains(meta::name(service)));
    let made = missing.map(|service| async move {
        let write = Write::create(kind, &service);
        match hands.apply(&write).await {
            Ok(_) => {
                info!(%write, "registered");
                Ok(())
            }
            // Another server was faster.
            Err(WriteError::AlreadyExists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await
}

/// Every version of every group, in the order of the table.
fn served() -> Vec<(&'static str, &'static str)> {
    let mut served = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.group != OWN) {
        if !served.contains(&(kind.group, kind.version)) {
            served.push((kind.group, kind.version));
        }
    }
    served
}

fn wanted() -> Vec<Value> {
    let of = |(group, version): (&str, &str)| {
        let (.., minimum, priority) = PRIORITIES.into_iter().find(|row| (row.0, row.1) == (group, version))?;
        Some(json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {
                "name": format!("{version}.{group}"),
                "labels": { "kube-aggregator.kubernetes.io/automanaged": "onstart" },
            },
            "spec": {
                "group": group, "version": version,
                "groupPriorityMinimum": minimum, "versionPriority": priority,
            },
        }))
    };
    served().into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_a_priority_and_the_table_follows_it() {
        let services = wanted();
        assert_eq!(services.len(), served().len(), "{:?} lack some priority", served());
        let priority = |service: &Value| {
            let spec = &service["spec"];
            (spec["groupPriorityMinimum"].as_i64().unwrap(), spec["versionPriority"].as_i64().unwrap())
        };
        let order: Vec<_> = services.iter().map(priority).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(order, sorted);
    }
}
