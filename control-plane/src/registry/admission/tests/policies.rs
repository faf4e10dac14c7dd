//! Classes, limits and quotas.

use super::*;

fn named(name: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = name.into();
    object
}

/// A cluster that has this object, too.
fn with(plural: &'static str, name: &str, object: Value) -> Cluster {
    let mut cluster = Cluster::usual();
    add(&mut cluster, plural, name, object);
    cluster
}

fn add(cluster: &mut Cluster, plural: &'static str, name: &str, object: Value) {
    let is_global = plural.ends_with("classes");
    let key = if is_global { name.to_owned() } else { format!("shop/{name}") };
    cluster.put(plural, &key, named(name, object));
}

async fn refusal(cluster: Cluster, plural: &str, object: Value) -> String {
    let refused = Arc::new(cluster).create(plural, object).await.unwrap_err();
    assert_eq!(refused.code, 403, "{refused}");
    refused.message
}

#[tokio::test]
async fn a_class_gives_its_priority() {
    let mut cluster = with("priorityclasses", "vip", json!({ "value": 9, "preemptionPolicy": "Never" }));
    add(&mut cluster, "priorityclasses", "usual", json!({ "value": 3, "globalDefault": true }));
    let cluster = Arc::new(cluster);
    let spec = cluster.create_pod(json!({ "priorityClassName": "vip" })).await.unwrap();
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(9), &json!("Never")));
    let spec = cluster.create_pod(json!({})).await.unwrap();
    assert_eq!((&spec["priority"], &spec["priorityClassName"]), (&json!(3), &json!("usual")));
    let refused = cluster.create_pod(json!({ "preemptionPolicy": "Never" })).await.unwrap_err();
    let expected = "pods \"web\" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; \
                    priority admission controller computed PreemptLowerPriority from the given PriorityClass name";
    assert_eq!(refused.message, expected);
}

#[tokio::test]
async fn one_class_is_the_default() {
    let usual = || with("priorityclasses", "usual", json!({ "value": 3, "globalDefault": true }));
    let other = named("other", json!({ "value": 4, "globalDefault": true }));
    assert_eq!(
        refusal(usual(), "priorityclasses", other).await,
        "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as default. Only one \
         default can exist"
    );
    let same = named("usual", json!({ "value": 3, "globalDefault": true }));
    Arc::new(usual()).create("priorityclasses", same).await.unwrap();
    Arc::new(usual()).create("priorityclasses", named("other", json!({ "value": 4 }))).await.unwrap();
}

#[tokio::test]
async fn the_classes_of_the_system_stay() {
    let (cluster, admin) = (Arc::new(Cluster::usual()), Caller::component("admin"));
    let delete = async |name: &str| {
        let class = named(name, json!({}));
        review(&cluster, &admin, Operation::Delete, "priorityclasses", (class.clone(), Some(&class))).await
    };
    assert_eq!(
        delete("system-node-critical").await.unwrap_err().message,
        "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority class and cannot \
         be deleted"
    );
    delete("vip").await.unwrap();
}

#[tokio::test]
async fn claims_and_ingresses_get_the_default_class() {
    let is_default = |annotation: &str, made: &str| json!({ "metadata": { "annotations": { annotation: "true" }, "creationTimestamp": made } });
    let storage = "storageclass.kubernetes.io/is-default-class";
    let mut cluster = with("storageclasses", "old", is_default(storage, "2025-01-01T00:00:00Z"));
    add(&mut cluster, "storageclasses", "new", is_default(storage, "2025-01-02T00:00:00Z"));
    add(&mut cluster, "storageclasses", "plain", json!({}));
    let ingress = "ingressclass.kubernetes.io/is-default-class";
    add(&mut cluster, "ingressclasses", "front", is_default(ingress, "2025-01-01T00:00:00Z"));
    let cluster = Arc::new(cluster);
    for (plural, field, given) in
        [("persistentvolumeclaims", "storageClassName", "new"), ("ingresses", "ingressClassName", "front")]
    {
        let made = cluster.create(plural, named("x", json!({ "spec": {} }))).await.unwrap();
        assert_eq!(made["spec"][field], given);
        for own in ["", "own"] {
            let made = cluster.create(plural, named("x", json!({ "spec": { field: own } }))).await.unwrap();
            assert_eq!(made["spec"][field], own);
        }
    }
    let old = json!({ "metadata": { "annotations": { "kubernetes.io/ingress.class": "own" } }, "spec": {} });
    assert_eq!(cluster.create("ingresses", named("x", old.clone())).await.unwrap(), named("x", old));
    let none = Arc::new(Cluster::usual());
    let claim = named("x", json!({ "spec": {} }));
    assert_eq!(none.create("persistentvolumeclaims", claim.clone()).await.unwrap(), claim);
}

#[tokio::test]
async fn a_runtime_class_adds_its_share() {
    let class = json!({ "handler": "h", "overhead": { "podFixed": { "cpu": "250m" } }, "scheduling": {
        "nodeSelector": { "kvm": "yes" }, "tolerations": [{ "key": "kvm", "operator": "Exists" }],
    } });
    let cluster = || Arc::new(with("runtimeclasses", "vm", class.clone()));
    let spec = cluster().create_pod(json!({ "runtimeClassName": "vm" })).await.unwrap();
    assert_eq!((&spec["overhead"], &spec["nodeSelector"]), (&json!({ "cpu": "250m" }), &json!({ "kvm": "yes" })));
    assert!(spec["tolerations"].as_array().unwrap().contains(&class["scheduling"]["tolerations"][0]));
    cluster().create_pod(json!({ "runtimeClassName": "vm", "overhead": { "cpu": "0.25" } })).await.unwrap();
    for (spec, why) in [
        (json!({ "runtimeClassName": "no" }), "pod rejected: RuntimeClass \"no\" not found"),
        (
            json!({ "runtimeClassName": "vm", "overhead": { "cpu": "1" } }),
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            json!({ "overhead": { "cpu": "1" } }),
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            json!({ "runtimeClassName": "vm", "nodeSelector": { "kvm": "no" } }),
            "conflict: runtimeClass.scheduling.nodeSelector[kvm] = yes; pod.spec.nodeSelector[kvm] = no",
        ),
    ] {
        let refused = cluster().create_pod(spec).await.unwrap_err();
        assert_eq!((refused.code, refused.message), (403, format!("pods \"web\" is forbidden: {why}")));
    }
}

#[tokio::test]
async fn limits_fill_pods_before_they_bound_them() {
    let limits = json!({ "spec": { "limits": [
        { "type": "Container", "max": { "memory": "1Gi" }, "default": { "memory": "512Mi" },
          "defaultRequest": { "memory": "64Mi" } },
        { "type": "PersistentVolumeClaim", "max": { "storage": "1Gi" } },
    ] } });
    let cluster = || with("limitranges", "l", limits.clone());
    let spec = Arc::new(cluster()).create_pod(json!({ "containers": [{ "name": "c" }] })).await.unwrap();
    let given = json!({ "limits": { "memory": "512Mi" }, "requests": { "memory": "64Mi" } });
    assert_eq!(spec["containers"][0]["resources"], given);
    let pod = json!({ "spec": { "containers": [{ "name": "c", "resources": { "limits": { "memory": "2Gi" } } }] } });
    assert_eq!(
        refusal(cluster(), "pods", named("web", pod)).await,
        "pods \"web\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"
    );
    let claim = json!({ "spec": { "storageClassName": "", "resources": { "requests": { "storage": "2Gi" } } } });
    assert_eq!(
        refusal(cluster(), "persistentvolumeclaims", named("c", claim)).await,
        "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    );
}

fn quota(spec: Value, used: Value) -> Cluster {
    let mut quota = json!({ "status": { "hard": spec["hard"] } });
    quota["status"]["used"] = used;
    quota["spec"] = spec;
    with("resourcequotas", "q", quota)
}

fn used(cluster: &Cluster) -> Value {
    cluster.objects.lock().unwrap()[&("resourcequotas", "shop/q".to_owned())]["status"]["used"].clone()
}

fn asking(cpu: &str) -> Value {
    json!({ "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }] })
}

#[tokio::test]
async fn a_quota_notes_what_is_made_and_refuses_what_is_too_much() {
    let hard = json!({ "hard": { "pods": "2", "requests.cpu": "1", "secrets": "1" } });
    let cluster = Arc::new(quota(hard, json!({ "pods": "0", "requests.cpu": "0", "secrets": "0" })));
    cluster.create_pod(asking("600m")).await.unwrap();
    assert_eq!(used(&cluster), json!({ "pods": "1", "requests.cpu": "600m", "secrets": "0" }));
    let refused = cluster.create_pod(asking("500m")).await.unwrap_err();
    let expected = "pods \"web\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, \
                    limited: requests.cpu=1";
    assert_eq!((refused.code, refused.message.as_str()), (403, expected));
    cluster.create_pod(asking("400m")).await.unwrap();
    let refused = cluster.create_pod(asking("1m")).await.unwrap_err();
    let expected = "pods \"web\" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=1m, used: \
                    pods=2,requests.cpu=1, limited: pods=2,requests.cpu=1";
    assert_eq!(refused.message, expected);
    cluster.create("secrets", named("s", json!({}))).await.unwrap();
    let refused = cluster.create("secrets", named("t", json!({}))).await.unwrap_err();
    let expected =
        "secrets \"t\" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1";
    assert_eq!(refused.message, expected);
    // What it does not name is free.
    cluster.create("configmaps", named("m", json!({}))).await.unwrap();
}

#[tokio::test]
async fn a_quota_wants_to_know() {
    let hard = || json!({ "hard": { "requests.cpu": "1", "limits.memory": "1Gi" } });
    let known = json!({ "requests.cpu": "0", "limits.memory": "0" });
    let pod = |spec: Value| named("web", json!({ "spec": spec }));
    let silent = pod(json!({ "containers": [{ "name": "c" }] }));
    assert_eq!(
        refusal(quota(hard(), known), "pods", silent).await,
        "pods \"web\" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    );
    let hard = json!({ "hard": { "requests.cpu": "1" } });
    assert_eq!(
        refusal(quota(hard, json!({})), "pods", pod(asking("1"))).await,
        "pods \"web\" is forbidden: status unknown for quota: q, resources: requests.cpu"
    );
}

#[tokio::test]
async fn a_quota_counts_objects_of_any_kind_and_within_its_scopes() {
    let counted = quota(json!({ "hard": { "count/deployments.apps": "0" } }), json!({ "count/deployments.apps": "0" }));
    assert_eq!(
        refusal(counted, "deployments", named("web", json!({}))).await,
        "deployments.apps \"web\" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: \
         count/deployments.apps=0, limited: count/deployments.apps=0"
    );
    let scoped = json!({ "hard": { "pods": "0" }, "scopes": ["BestEffort"] });
    let cluster = Arc::new(quota(scoped, json!({ "pods": "0" })));
    cluster.create_pod(asking("1")).await.unwrap();
    cluster.create_pod(json!({ "containers": [{ "name": "c" }] })).await.unwrap_err();
}

#[tokio::test]
async fn an_update_counts_what_it_adds() {
    let hard = json!({ "hard": { "requests.storage": "3Gi", "persistentvolumeclaims": "1" } });
    let used_before = json!({ "requests.storage": "1Gi", "persistentvolumeclaims": "1" });
    let cluster = Arc::new(quota(hard, used_before));
    let claim = |size: &str| {
        named("c", json!({ "spec": { "storageClassName": "", "resources": { "requests": { "storage": size } } } }))
    };
    let admin = Caller::component("admin");
    let grow = async |from: &str, to: &str| {
        let old = claim(from);
        review(&cluster, &admin, Operation::Update, "persistentvolumeclaims", (claim(to), Some(&old))).await
    };
    grow("1Gi", "2Gi").await.unwrap();
    assert_eq!(used(&cluster), json!({ "requests.storage": "2Gi", "persistentvolumeclaims": "1" }));
    grow("2Gi", "1Gi").await.unwrap();
    let refused = grow("2Gi", "4Gi").await.unwrap_err();
    let expected = "persistentvolumeclaims \"c\" is forbidden: exceeded quota: q, requested: requests.storage=2Gi, used: \
                    requests.storage=2Gi, limited: requests.storage=3Gi";
    assert_eq!(refused.message, expected);
    assert_eq!(used(&cluster)["requests.storage"], "2Gi");
}

#[tokio::test]
async fn a_refusal_of_one_quota_leaves_no_use_in_another() {
    let mut cluster = quota(json!({ "hard": { "pods": "5" } }), json!({ "pods": "0" }));
    let full = json!({ "status": { "hard": { "pods": "0" }, "used": { "pods": "0" } } });
    add(&mut cluster, "resourcequotas", "z", full);
    let cluster = Arc::new(cluster);
    let refused = cluster.create_pod(asking("1")).await.unwrap_err();
    assert!(refused.message.contains("exceeded quota: z"), "{refused}");
    assert_eq!(used(&cluster), json!({ "pods": "0" }));
}
