use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A cluster that holds these objects.
#[derive(Default)]
struct Cluster {
    objects: BTreeMap<(&'static str, String), Value>,
    /// The account `default` appears after so many looks.
    account_after: u32,
    looks: AtomicU32,
}

#[async_trait]
impl Lookup for Cluster {
    async fn get(&self, kind: &'static Kind, key: &Key) -> Result<Option<Value>, Status> {
        let is_account = kind.plural == "serviceaccounts";
        if is_account && self.looks.fetch_add(1, Ordering::Relaxed) < self.account_after {
            return Ok(None);
        }
        Ok(self.objects.get(&(kind.plural, key.to_string())).cloned())
    }
}

impl Cluster {
    /// A namespace with its account.
    fn usual() -> Self {
        let mut cluster = Self::default();
        cluster.put("namespaces", "shop", json!({ "status": { "phase": "Active" } }));
        cluster.put("serviceaccounts", "shop/default", json!({}));
        cluster
    }

    fn put(&mut self, plural: &'static str, key: &str, object: Value) {
        self.objects.insert((plural, key.to_owned()), object);
    }

    async fn create(&self, plural: &str, mut object: Value) -> Result<Value, Status> {
        let kind = kinds::KINDS.iter().find(|kind| kind.plural == plural).expect("a kind");
        let namespace = if kind.is_namespaced() { "shop" } else { "" };
        admit_create(kind, namespace, &mut object, self).await?;
        Ok(object)
    }

    async fn create_pod(&self, spec: Value) -> Result<Value, Status> {
        let pod = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": spec });
        Ok(self.create("pods", pod).await?["spec"].take())
    }
}

fn tolerations() -> [Value; 2] {
    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .map(|key| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }))
}

#[tokio::test]
async fn a_pod_gets_account_priority_and_tolerations() {
    let spec = Cluster::usual().create_pod(json!({})).await.unwrap();
    let expected = json!({
        "serviceAccountName": "default", "serviceAccount": "default", "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority", "tolerations": tolerations(),
    });
    assert_eq!(spec, expected);
}

#[tokio::test]
async fn other_kinds_get_nothing() {
    let map = json!({ "metadata": { "name": "m" }, "data": { "a": "b" } });
    assert_eq!(Cluster::usual().create("configmaps", map.clone()).await.unwrap(), map);
    let node = json!({ "metadata": { "name": "n" } });
    assert_eq!(Cluster::default().create("nodes", node.clone()).await.unwrap(), node);
}

#[tokio::test]
async fn own_tolerations_come_first_and_count() {
    let own = json!({ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute" });
    let spec = Cluster::usual().create_pod(json!({ "tolerations": [own] })).await.unwrap();
    assert_eq!(spec["tolerations"], json!([own, tolerations()[1]]));
    let all = json!([{ "operator": "Exists" }]);
    let spec = Cluster::usual().create_pod(json!({ "tolerations": all })).await.unwrap();
    assert_eq!(spec["tolerations"], all);
    // Another effect is another matter.
    let other = json!({ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule" });
    let spec = Cluster::usual().create_pod(json!({ "tolerations": [other] })).await.unwrap();
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn there_is_nothing_in_a_namespace_that_is_not_there() {
    let refused = Cluster::default().create("configmaps", json!({ "metadata": { "name": "m" } })).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.reason, refused.message.as_str()),
        (404, "NotFound", "namespaces \"shop\" not found")
    );
}

#[tokio::test]
async fn nothing_new_comes_into_a_namespace_that_goes() {
    let mut cluster = Cluster::usual();
    for gone in [
        json!({ "status": { "phase": "Terminating" } }),
        json!({ "metadata": { "deletionTimestamp": "2025-01-01T00:00:00Z" }, "status": { "phase": "Active" } }),
    ] {
        cluster.put("namespaces", "shop", gone);
        for (object, shown) in [
            (json!({ "metadata": { "name": "web" } }), "web"),
            (json!({ "metadata": { "generateName": "web-" } }), "web-"),
        ] {
            let refused = cluster.create("deployments", object).await.unwrap_err();
            let expected = format!(
                "deployments.apps \"{shown}\" is forbidden: unable to create new content in namespace shop because it is \
                 being terminated"
            );
            assert_eq!((refused.code, refused.reason, refused.message), (403, "Forbidden", expected));
            let cause = json!({ "reason": "NamespaceTerminating", "message": "namespace shop is being terminated",
                                "field": "metadata.namespace" });
            assert_eq!(refused.details["causes"], json!([cause]));
        }
    }
}

#[tokio::test]
async fn a_pod_needs_its_account() {
    let refused = Cluster::usual().create_pod(json!({ "serviceAccountName": "robot" })).await.unwrap_err();
    let expected = "pods \"web\" is forbidden: error looking up service account shop/robot: serviceaccount \"robot\" not \
                    found";
    assert_eq!((refused.code, refused.message.as_str()), (403, expected));
}

#[tokio::test]
async fn the_default_account_may_come_a_moment_later() {
    let cluster = Cluster { account_after: 3, ..Cluster::usual() };
    cluster.create_pod(json!({})).await.unwrap();
    let never = Cluster { account_after: u32::MAX, ..Cluster::usual() };
    let refused = never.create_pod(json!({})).await.unwrap_err();
    assert!(refused.message.ends_with("serviceaccount \"default\" not found"), "{refused}");
    assert_eq!(never.looks.load(Ordering::Relaxed), DEFAULT_ACCOUNT_TRIES);
}

#[tokio::test]
async fn the_secrets_of_the_account_are_for_pods_without_any() {
    let mut cluster = Cluster::usual();
    cluster.put("serviceaccounts", "shop/default", json!({ "imagePullSecrets": [{ "name": "registry" }] }));
    let spec = cluster.create_pod(json!({})).await.unwrap();
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
    let own = json!([{ "name": "own" }]);
    let spec = cluster.create_pod(json!({ "imagePullSecrets": own })).await.unwrap();
    assert_eq!(spec["imagePullSecrets"], own);
}

#[tokio::test]
async fn a_mirror_of_a_file_needs_no_account() {
    let mirror = json!({ "metadata": { "name": "m", "annotations": { MIRROR: "x" } }, "spec": {} });
    let pod = Cluster { account_after: u32::MAX, ..Cluster::usual() }.create("pods", mirror).await.unwrap();
    assert_eq!(pod["spec"].get("serviceAccountName"), None);
}

#[tokio::test]
async fn the_priority_is_that_of_the_class() {
    let cluster = Cluster::usual();
    for (class, expected) in [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)] {
        let spec = cluster.create_pod(json!({ "priorityClassName": class })).await.unwrap();
        assert_eq!(spec["priority"], expected);
    }
    cluster.create_pod(json!({ "priority": 0 })).await.unwrap();
    for (spec, why) in [
        (json!({ "priorityClassName": "vip" }), "no PriorityClass with name vip was found"),
        (
            json!({ "priority": 7 }),
            "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 \
             from the given PriorityClass name",
        ),
    ] {
        let refused = cluster.create_pod(spec).await.unwrap_err();
        assert_eq!((refused.code, refused.message), (403, format!("pods \"web\" is forbidden: {why}")));
    }
}

#[test]
fn the_namespaces_of_the_cluster_stay() {
    let namespaces = core("namespaces").unwrap();
    for name in IMMORTAL {
        let refused = admit_delete(namespaces, name).unwrap_err();
        let expected = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!((refused.code, refused.message), (403, expected));
    }
    admit_delete(namespaces, "shop").unwrap();
    admit_delete(core("pods").unwrap(), "default").unwrap();
}
