//! What the agents of nodes may write.

use super::*;

/// What an agent of n1 is told.
async fn refused(operation: Operation, resource: &str, object: Value, old: Option<Value>) -> String {
    let mut cluster = Cluster::usual();
    cluster.put("nodes", "n1", json!({ "metadata": { "name": "n1", "uid": "u1" } }));
    let (cluster, agent) = (Arc::new(cluster), cases::agent("n1"));
    match review(&cluster, &agent, operation, resource, (object, old.as_ref())).await {
        Ok(_) => String::new(),
        Err(status) => {
            assert_eq!(status.code, 403, "{status}");
            let (_, why) = status.message.split_once(" is forbidden: ").expect("a refusal");
            why.to_owned()
        }
    }
}

fn pod_on(node: &str) -> Value {
    json!({ "metadata": { "name": "p", "namespace": "shop" }, "spec": { "nodeName": node } })
}

/// A pod of n1 that mirrors a file, with more in its spec.
fn mirror_of(mut more: Value) -> Value {
    let mut mirror = pod_on("n1");
    mirror["metadata"]["annotations"] = json!({ MIRROR: "x" });
    mirror["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1", "controller": true }]);
    mirror["spec"].as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    mirror
}

#[tokio::test]
async fn an_agent_reads_no_secret_through_a_mirror_pod_that_names_it() {
    let volume = |source: Value| json!({ "volumes": [source] });
    let projected = |source: Value| volume(json!({ "projected": { "sources": [source] } }));
    let ephemeral = json!([{ "env": [{ "valueFrom": { "secretKeyRef": { "name": "x" } } }] }]);
    for spec in [
        json!({ "imagePullSecrets": [{ "name": "x" }] }),
        json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": "x" } }] }] }),
        json!({ "initContainers": [{ "env": [{ "valueFrom": { "secretKeyRef": { "name": "x" } } }] }] }),
        json!({ "ephemeralContainers": ephemeral }),
        volume(json!({ "secret": { "secretName": "x" } })),
        volume(json!({ "csi": { "nodePublishSecretRef": { "name": "x" } } })),
        projected(json!({ "secret": { "name": "x" } })),
    ] {
        let told = refused(Operation::Create, "pods", mirror_of(spec.clone()), None).await;
        assert_eq!(told, "a mirror pod may not reference secrets", "{spec}");
    }
    for (spec, words) in [
        (json!({ "serviceAccountName": "x" }), "a mirror pod may not reference service accounts"),
        (
            projected(json!({ "serviceAccountToken": { "path": "t" } })),
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ] {
        assert_eq!(refused(Operation::Create, "pods", mirror_of(spec), None).await, words);
    }
    for (spec, kind) in [
        (json!({ "serviceAccount": "x" }), "serviceaccounts"),
        (json!({ "containers": [{ "envFrom": [{ "configMapRef": { "name": "x" } }] }] }), "configmaps"),
        (json!({ "containers": [{ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "x" } } }] }] }), "configmaps"),
        (volume(json!({ "configMap": { "name": "x" } })), "configmaps"),
        (projected(json!({ "configMap": { "name": "x" } })), "configmaps"),
        (volume(json!({ "persistentVolumeClaim": { "claimName": "x" } })), "persistentvolumeclaims"),
        (volume(json!({ "ephemeral": { "volumeClaimTemplate": {} } })), "persistentvolumeclaims"),
        (json!({ "resourceClaims": [{ "name": "x" }] }), "resourceclaims"),
        (projected(json!({ "clusterTrustBundle": { "name": "x" } })), "clustertrustbundles"),
    ] {
        let told = refused(Operation::Create, "pods", mirror_of(spec), None).await;
        assert_eq!(told, format!("node \"n1\" can not create pods that reference {kind}"));
    }
}

#[tokio::test]
async fn a_mirror_pod_belongs_to_its_node_alone() {
    let own = mirror_of(json!({}))["metadata"]["ownerReferences"][0].clone();
    let but = |field: &str, value: Value| {
        let mut owner = own.clone();
        owner[field] = value;
        json!([owner])
    };
    let itself = "node \"n1\" can only create pods with an owner reference set to itself";
    for (owners, words) in [
        (json!([]), itself),
        (but("kind", "Secret".into()), itself),
        (but("name", "n2".into()), itself),
        (but("apiVersion", "apps/v1".into()), itself),
        (json!([own, own]), "node \"n1\" can only create pods with a single owner reference set to itself"),
        (
            but("controller", false.into()),
            "node \"n1\" can only create pods with a controller owner reference set to itself",
        ),
        (but("blockOwnerDeletion", true.into()), "node \"n1\" must not set blockOwnerDeletion on an owner reference"),
        (but("uid", "u2".into()), "node n1 UID mismatch: expected u1 got u2"),
    ] {
        let mut mirror = mirror_of(json!({}));
        mirror["metadata"]["ownerReferences"] = owners;
        assert_eq!(refused(Operation::Create, "pods", mirror, None).await, words);
    }
}

#[tokio::test]
async fn an_agent_writes_about_its_own_pods_only() {
    let told = async |operation, resource, node| refused(operation, resource, pod_on(node), Some(pod_on(node))).await;
    assert_eq!(told(Operation::Update, "pods/status", "n1").await, "");
    assert_eq!(
        told(Operation::Update, "pods/status", "n2").await,
        "node \"n1\" can only update pod status for pods with spec.nodeName set to itself"
    );
    assert_eq!(told(Operation::Delete, "pods", "n1").await, "");
    assert_eq!(
        told(Operation::Delete, "pods", "n2").await,
        "node \"n1\" can only delete pods with spec.nodeName set to itself"
    );
    assert_eq!(
        refused(Operation::Create, "pods", pod_on("n1"), None).await,
        "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods"
    );
    let mut mirror = mirror_of(json!({}));
    assert_eq!(refused(Operation::Create, "pods", mirror.clone(), None).await, "");
    mirror["spec"]["nodeName"] = "n2".into();
    assert_eq!(
        refused(Operation::Create, "pods", mirror, None).await,
        "node \"n1\" can only create pods with spec.nodeName set to itself"
    );
}

#[tokio::test]
async fn an_agent_writes_its_own_node_but_not_what_others_decide_by() {
    let node = |name: &str, labels: Value, taints: Value| json!({ "metadata": { "name": name, "labels": labels }, "spec": { "taints": taints } });
    let usual =
        || node("n1", json!({ "kubernetes.io/hostname": "n1", "beta.kubernetes.io/os": "linux", "a": "b" }), json!([]));
    assert_eq!(refused(Operation::Create, "nodes", usual(), None).await, "");
    assert_eq!(refused(Operation::Update, "nodes", usual(), Some(node("n1", json!({}), json!([])))).await, "");
    assert_eq!(
        refused(Operation::Update, "nodes", node("n2", json!({}), json!([])), None).await,
        "node \"n1\" is not allowed to modify node \"n2\""
    );
    let restricted = json!({ "node-restriction.kubernetes.io/zone": "a", "node-role.kubernetes.io/control-plane": "" });
    let names = "node-restriction.kubernetes.io/zone, node-role.kubernetes.io/control-plane";
    assert_eq!(
        refused(Operation::Create, "nodes", node("n1", restricted.clone(), json!([])), None).await,
        format!("node \"n1\" is not allowed to set the following labels: {names}")
    );
    assert_eq!(
        refused(Operation::Update, "nodes", usual(), Some(node("n1", restricted, json!([])))).await,
        format!("node \"n1\" is not allowed to modify labels: {names}")
    );
    let tainted = node("n1", json!({}), json!([{ "key": "a", "effect": "NoSchedule" }]));
    assert_eq!(
        refused(Operation::Update, "nodes", usual(), Some(tainted)).await,
        "node \"n1\" is not allowed to modify taints"
    );
}

#[tokio::test]
async fn an_agent_publishes_its_own_dns_and_its_own_lease() {
    let slice = |name: &str, service: &str, node: &str| {
        json!({ "metadata": { "name": name, "namespace": "kube-system", "labels": { "kubernetes.io/service-name": service } },
                "endpoints": [{ "addresses": ["192.0.2.1"], "nodeName": node }] })
    };
    let told = async |object: Value| refused(Operation::Update, "endpointslices", object, None).await;
    assert_eq!(told(slice("kube-dns-n1", "kube-dns", "n1")).await, "");
    assert_eq!(
        told(slice("kube-dns-n2", "kube-dns", "n1")).await,
        "node \"n1\" is not allowed to modify endpoint slice \"kube-dns-n2\""
    );
    for foreign in [slice("kube-dns-n1", "metrics", "n1"), slice("kube-dns-n1", "kube-dns", "n2")] {
        let words = "node \"n1\" can only publish its own endpoints of the service \"kube-dns\"";
        assert_eq!(told(foreign).await, words);
    }
    let lease = |name: &str| json!({ "metadata": { "name": name } });
    assert_eq!(refused(Operation::Create, "leases", lease("n1"), None).await, "");
    assert_eq!(
        refused(Operation::Create, "leases", lease("n2"), None).await,
        "can only access node lease with the same name as the requesting node"
    );
}

/// What an agent of n1 is told about a token that is bound so, for the pod `web` of n1 and `db` of n2.
async fn token_refused(bound: Value, audiences: Value) -> String {
    let mut cluster = Cluster::usual();
    for (name, uid, node) in [("web", "u1", "n1"), ("db", "u2", "n2")] {
        let sources = json!([{ "serviceAccountToken": { "path": "token" } },
                             { "serviceAccountToken": { "path": "vault", "audience": "vault" } }]);
        let spec = json!({ "nodeName": node, "volumes": [{ "name": "v", "projected": { "sources": sources } }] });
        cluster.put("pods", &format!("shop/{name}"), json!({ "metadata": { "uid": uid }, "spec": spec }));
    }
    let request =
        json!({ "metadata": { "name": "robot" }, "spec": { "boundObjectRef": bound, "audiences": audiences } });
    let agent = cases::agent("n1");
    match review(&Arc::new(cluster), &agent, Operation::Create, "serviceaccounts/token", (request, None)).await {
        Ok(_) => String::new(),
        Err(status) => status.message.rsplit(" is forbidden: ").next().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn an_agent_gets_tokens_for_its_own_pods_only() {
    let to = |name: &str, uid: &str| json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid });
    assert_eq!(token_refused(to("web", "u1"), json!([])).await, "");
    assert_eq!(token_refused(to("web", "u1"), json!(["vault"])).await, "");
    for (bound, audiences, why) in [
        (Value::Null, json!([]), "node requested token not bound to a pod"),
        (
            json!({ "apiVersion": "v1", "kind": "Secret", "name": "web", "uid": "u1" }),
            json!([]),
            "node requested token not bound to a pod",
        ),
        (to("web", ""), json!([]), "node requested token with a pod binding without a uid"),
        (to("db", "u2"), json!([]), "node requested token bound to a pod scheduled on a different node"),
        (
            to("web", "u2"),
            json!([]),
            "the UID in the bound object reference (u2) does not match the UID in record. The object might have been \
          deleted and then recreated",
        ),
        (to("web", "u1"), json!(["bank"]), "audience \"bank\" not found in pod spec volume"),
        (to("web", "u1"), json!(["vault", "bank"]), "node may only request 0 or 1 audiences"),
        (to("gone", "u9"), json!([]), "pods \"gone\" not found"),
    ] {
        assert_eq!(token_refused(bound, audiences).await, why);
    }
}
