//! The chain over a cluster that is made up.

mod agents;
mod policies;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use nodeplane_api::kinds::Verb;
use serde_json::json;

use super::{
    namespace_lifecycle::IMMORTAL,
    service_account::{DEFAULT_ACCOUNT_TRIES, MIRROR},
    *,
};
use crate::access::{Caller, cases};

/// A cluster that holds these objects.
#[derive(Default)]
struct Cluster {
    objects: Mutex<BTreeMap<(&'static str, String), Value>>,
    /// Whether the cache knows them, too.
    is_cached: bool,
    /// The account `default` appears after so many looks.
    account_after: u32,
    looks: AtomicU32,
}

impl Cluster {
    fn object(&self, kind: &'static Kind, key: &Key) -> Option<Object> {
        let key = key.to_string();
        let value = self.objects.lock().unwrap().get(&(kind.plural, key.clone())).cloned()?;
        Some(stored(&key, &value))
    }
}

fn stored(key: &str, value: &Value) -> Object {
    let bytes = Bytes::from(value.to_string());
    Object::from_bytes(key.into(), 1, &bytes).expect("an object")
}

#[async_trait]
impl Lookup for Cluster {
    async fn known(&self, kind: &'static Kind, key: &Key) -> Option<Object> {
        self.is_cached.then(|| self.object(kind, key)).flatten()
    }

    async fn newest(&self, kind: &'static Kind, key: &Key) -> Result<Option<Object>, Status> {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        // The first look is at the namespace.
        if kind.plural == "serviceaccounts" && looks <= self.account_after {
            return Ok(None);
        }
        Ok(self.object(kind, key))
    }

    async fn all(&self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, Status> {
        let is_here = |key: &str| namespace.is_empty() || key.split_once('/').is_some_and(|(own, _)| own == namespace);
        let objects = self.objects.lock().unwrap();
        let chosen = objects.iter().filter(|((plural, key), _)| *plural == kind.plural && is_here(key));
        Ok(chosen.map(|((_, key), value)| stored(key, value)).collect())
    }

    async fn replace(&self, kind: &'static Kind, old: &Object, value: Value) -> Result<bool, Status> {
        let (mut objects, key) = (self.objects.lock().unwrap(), (kind.plural, old.key().to_owned()));
        if objects.get(&key).is_none_or(|now| stored(&key.1, now).tree() != old.tree()) {
            return Ok(false);
        }
        objects.insert(key, value);
        Ok(true)
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
        self.objects.get_mut().unwrap().insert((plural, key.to_owned()), object);
    }

    async fn create(self: &Arc<Self>, plural: &str, object: Value) -> Result<Value, Status> {
        review(self, &Caller::component("admin"), Operation::Create, plural, (object, None)).await
    }

    async fn create_pod(self: &Arc<Self>, spec: Value) -> Result<Value, Status> {
        let pod = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": spec });
        Ok(self.create("pods", pod).await?["spec"].take())
    }
}

/// Sends an object that replaces another one through the whole chain.
async fn review(
    cluster: &Arc<Cluster>,
    caller: &Caller,
    operation: Operation,
    resource: &str,
    (mut object, old): (Value, Option<&Value>),
) -> Result<Value, Status> {
    let (plural, part) = resource.split_once('/').unwrap_or((resource, ""));
    let verb = match operation {
        Operation::Create => Verb::Create,
        Operation::Update => Verb::Update,
        Operation::Delete => Verb::Delete,
    };
    let mut request = cases::request(verb, plural, meta::name(&object), None);
    request.namespace = request.kind.is_namespaced().then(|| "shop".to_owned());
    request.subresource = request.kind.parts.iter().find(|row| row.name() == part).map(|row| row.subresource);
    let permit = cases::permit(caller.clone(), request).await;
    let name = meta::name(&object).to_owned();
    let review = Review { permit: &permit, operation, name: &name, old, dry_run: false };
    let chain = Chain::standard(cluster);
    if operation != Operation::Delete {
        chain.admit(&review, &mut object).await?;
    }
    chain.validate(&review, &object).await?;
    Ok(object)
}

fn tolerations() -> [Value; 2] {
    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .map(|key| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }))
}

#[tokio::test]
async fn a_pod_gets_account_priority_and_tolerations() {
    let spec = Arc::new(Cluster::usual()).create_pod(json!({})).await.unwrap();
    let expected = json!({
        "serviceAccountName": "default", "serviceAccount": "default", "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority", "tolerations": tolerations(),
    });
    assert_eq!(spec, expected);
}

#[tokio::test]
async fn a_pod_gets_the_token_of_its_account() {
    let containers = json!([{ "name": "c", "image": "i" }]);
    let mut cluster = Cluster::usual();
    cluster.put("serviceaccounts", "shop/shy", json!({ "automountServiceAccountToken": false }));
    let cluster = Arc::new(cluster);
    let spec = cluster.create_pod(json!({ "containers": containers })).await.unwrap();
    let name = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], name);
    for without in [
        json!({ "containers": containers, "automountServiceAccountToken": false }),
        json!({ "containers": containers, "serviceAccountName": "shy" }),
    ] {
        let spec = cluster.create_pod(without).await.unwrap();
        assert!(spec.get("volumes").is_none(), "{spec}");
    }
}

#[tokio::test]
async fn a_mirror_of_a_file_has_no_account() {
    let cluster = Arc::new(Cluster::usual());
    let mirror = json!({ "metadata": { "name": "web", "namespace": "shop", "annotations": { MIRROR: "x" } },
                         "spec": { "serviceAccountName": "default" } });
    let refused = cluster.create("pods", mirror).await.unwrap_err();
    assert_eq!(refused.message, "pods \"web\" is forbidden: a mirror pod may not reference service accounts");
}

#[tokio::test]
async fn other_kinds_get_nothing() {
    let map = json!({ "metadata": { "name": "m" }, "data": { "a": "b" } });
    assert_eq!(Arc::new(Cluster::usual()).create("configmaps", map.clone()).await.unwrap(), map);
}

#[tokio::test]
async fn own_tolerations_come_first_and_count() {
    let own = json!({ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute" });
    let spec = Arc::new(Cluster::usual()).create_pod(json!({ "tolerations": [own] })).await.unwrap();
    assert_eq!(spec["tolerations"], json!([own, tolerations()[1]]));
    let all = json!([{ "operator": "Exists" }]);
    let spec = Arc::new(Cluster::usual()).create_pod(json!({ "tolerations": all })).await.unwrap();
    assert_eq!(spec["tolerations"], all);
    // Another effect is another matter.
    let other = json!({ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule" });
    let spec = Arc::new(Cluster::usual()).create_pod(json!({ "tolerations": [other] })).await.unwrap();
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn there_is_nothing_in_a_namespace_that_is_not_there() {
    let refused =
        Arc::new(Cluster::default()).create("configmaps", json!({ "metadata": { "name": "m" } })).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.reason.as_str(), refused.message.as_str()),
        (404, "NotFound", "namespaces \"shop\" not found")
    );
}

#[tokio::test]
async fn nothing_new_comes_into_a_namespace_that_goes() {
    let mut cluster = Cluster::default();
    for gone in [
        json!({ "status": { "phase": "Terminating" } }),
        json!({ "metadata": { "deletionTimestamp": "2025-01-01T00:00:00Z" }, "status": { "phase": "Active" } }),
    ] {
        cluster.put("namespaces", "shop", gone);
        let cluster = Arc::new(std::mem::take(&mut cluster));
        for (object, shown) in [
            (json!({ "metadata": { "name": "web" } }), "web"),
            (json!({ "metadata": { "generateName": "web-" } }), "web-"),
        ] {
            let refused = cluster.create("deployments", object).await.unwrap_err();
            let expected = format!(
                "deployments.apps \"{shown}\" is forbidden: unable to create new content in namespace shop because it is \
                 being terminated"
            );
            assert_eq!((refused.code, refused.reason.as_str(), refused.message), (403, "Forbidden", expected));
            let cause = json!({ "reason": "NamespaceTerminating", "message": "namespace shop is being terminated",
                                "field": "metadata.namespace" });
            assert_eq!(refused.details["causes"], json!([cause]));
        }
    }
}

#[tokio::test]
async fn a_pod_needs_its_account() {
    let refused = Arc::new(Cluster::usual()).create_pod(json!({ "serviceAccountName": "robot" })).await.unwrap_err();
    let expected = "pods \"web\" is forbidden: error looking up service account shop/robot: serviceaccount \"robot\" not \
                    found";
    assert_eq!((refused.code, refused.message.as_str()), (403, expected));
}

#[tokio::test]
async fn the_default_account_may_come_a_moment_later() {
    let cluster = Arc::new(Cluster { account_after: 3, ..Cluster::usual() });
    cluster.create_pod(json!({})).await.unwrap();
    let never = Arc::new(Cluster { account_after: u32::MAX, ..Cluster::usual() });
    let refused = never.create_pod(json!({})).await.unwrap_err();
    assert!(refused.message.ends_with("serviceaccount \"default\" not found"), "{refused}");
    assert_eq!(never.looks.load(Ordering::Relaxed), DEFAULT_ACCOUNT_TRIES + 1);
}

#[tokio::test]
async fn the_secrets_of_the_account_are_for_pods_without_any() {
    let mut cluster = Cluster::usual();
    cluster.put("serviceaccounts", "shop/default", json!({ "imagePullSecrets": [{ "name": "registry" }] }));
    let cluster = Arc::new(cluster);
    let spec = cluster.create_pod(json!({})).await.unwrap();
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
    let own = json!([{ "name": "own" }]);
    let spec = cluster.create_pod(json!({ "imagePullSecrets": own })).await.unwrap();
    assert_eq!(spec["imagePullSecrets"], own);
}

#[tokio::test]
async fn a_mirror_of_a_file_needs_no_account() {
    let mirror = json!({ "metadata": { "name": "m", "annotations": { MIRROR: "x" } }, "spec": {} });
    let cluster = Arc::new(Cluster { account_after: u32::MAX, ..Cluster::usual() });
    let pod = cluster.create("pods", mirror).await.unwrap();
    assert_eq!(pod["spec"].get("serviceAccountName"), None);
}

#[tokio::test]
async fn the_priority_is_that_of_the_class() {
    let cluster = Arc::new(Cluster::usual());
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

#[tokio::test]
async fn the_namespaces_of_the_cluster_stay() {
    let (cluster, admin) = (Arc::new(Cluster::default()), Caller::component("admin"));
    let delete = async |plural: &str, name: &str| {
        let object = json!({ "metadata": { "name": name } });
        review(&cluster, &admin, Operation::Delete, plural, (object.clone(), Some(&object))).await
    };
    for name in IMMORTAL {
        let refused = delete("namespaces", name).await.unwrap_err();
        let expected = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!((refused.code, refused.message), (403, expected));
    }
    delete("namespaces", "shop").await.unwrap();
    delete("pods", "default").await.unwrap();
}

#[tokio::test]
async fn the_cache_answers_for_what_lives() {
    let cluster = Arc::new(Cluster { is_cached: true, ..Cluster::usual() });
    cluster.create_pod(json!({})).await.unwrap();
    assert_eq!(cluster.looks.load(Ordering::Relaxed), 0, "nobody asks the store");
    // What it does not know is looked up.
    let unknown = Arc::new(Cluster { is_cached: false, ..Cluster::usual() });
    unknown.create_pod(json!({})).await.unwrap();
    assert_eq!(unknown.looks.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_changed_pod_keeps_what_admission_once_gave_it() {
    let cluster = Arc::new(Cluster::usual());
    let pod = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": { "priorityClassName": "system-node-critical" } });
    let old = cluster.create("pods", pod.clone()).await.unwrap();
    let admin = Caller::component("admin");
    let changed = review(&cluster, &admin, Operation::Update, "pods", (pod, Some(&old))).await.unwrap();
    for field in ["priority", "preemptionPolicy", "tolerations"] {
        assert_eq!(changed["spec"][field], old["spec"][field], "{field}");
    }
}

#[tokio::test]
async fn no_pod_goes_to_a_new_node_before_the_controller_has_seen_it_ready() {
    let cluster = Arc::new(Cluster::default());
    let taints = async |spec: Value| {
        let mut node = cluster.create("nodes", json!({ "metadata": { "name": "n" }, "spec": spec })).await.unwrap();
        node["spec"]["taints"].take()
    };
    let not_ready = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" });
    assert_eq!(taints(json!({})).await, json!([not_ready]));
    assert_eq!(taints(Value::Null).await, json!([not_ready]));
    assert_eq!(taints(json!({ "taints": [not_ready] })).await, json!([not_ready]), "once is enough");
    let own = json!({ "key": "gpu", "value": "big", "effect": "NoSchedule" });
    assert_eq!(taints(json!({ "taints": [own] })).await, json!([own, not_ready]));
    let evicting = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" });
    assert_eq!(taints(json!({ "taints": [evicting] })).await, json!([evicting, not_ready]));
    // What the controller takes away does not come back.
    let (node, admin) = (json!({ "metadata": { "name": "n" }, "spec": {} }), Caller::component("admin"));
    let changed = review(&cluster, &admin, Operation::Update, "nodes", (node.clone(), Some(&node))).await.unwrap();
    assert_eq!(changed, node);
}
