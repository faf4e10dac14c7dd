use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    access::{
        Limits,
        cases::{agent, request},
    },
    store::{Store, embedded::EmbeddedStore},
};

/// A cluster with the pod `shop/web` on n1 and the pod `shop/db` on n2.
struct Bed {
    nodes: Nodes,
    _dir: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        let keys = Keys::new("/registry");
        let cache = WatchCache::start(store.clone(), &keys);
        for pod in [web(), db()] {
            let key = keys.collection("", "pods", "shop") + pod["metadata"]["name"].as_str().unwrap();
            store.create(&key, pod.to_string().into()).await.unwrap();
        }
        Self { nodes: Nodes::new(cache, keys), _dir: dir }
    }

    async fn ask(&self, request: &Request) -> Decision {
        self.nodes.decide(&agent("n1"), Asked::Objects(request)).await
    }

    async fn may(&self, verb: Verb, plural: &str, place: &str) {
        assert_eq!(self.ask(&request(verb, plural, place, None)).await, Decision::Allow, "{verb:?} {plural} {place}");
    }

    async fn may_not(&self, verb: Verb, plural: &str, place: &str) -> String {
        match self.ask(&request(verb, plural, place, None)).await {
            Decision::Pass(why) => why,
            Decision::Allow => panic!("{verb:?} {plural} {place}"),
        }
    }
}

fn web() -> Value {
    json!({ "metadata": { "namespace": "shop", "name": "web" }, "spec": {
        "nodeName": "n1",
        "serviceAccountName": "robot",
        "imagePullSecrets": [{ "name": "pull" }],
        "initContainers": [{ "envFrom": [{ "secretRef": { "name": "init" } }] }],
        "containers": [{
            "envFrom": [{ "configMapRef": { "name": "all" } }],
            "env": [
                { "valueFrom": { "secretKeyRef": { "name": "one", "key": "k" } } },
                { "valueFrom": { "configMapKeyRef": { "name": "some", "key": "k" } } },
            ],
        }],
        "volumes": [
            { "secret": { "secretName": "files" } },
            { "configMap": { "name": "mounted" } },
            { "projected": { "sources": [
                { "secret": { "name": "projected" } }, { "configMap": { "name": "kube-root-ca.crt" } },
            ] } },
        ],
    } })
}

fn db() -> Value {
    json!({ "metadata": { "namespace": "shop", "name": "db" }, "spec": {
        "nodeName": "n2", "serviceAccountName": "keeper", "volumes": [{ "secret": { "secretName": "password" } }],
    } })
}

const UNRELATED: &str = "no relationship found between node 'n1' and this object";

#[tokio::test]
async fn an_agent_reads_what_its_pods_name_and_nothing_else() {
    let bed = Bed::new().await;
    for secret in ["pull", "init", "one", "files", "projected"] {
        bed.may(Verb::Get, "secrets", &format!("shop/{secret}")).await;
    }
    for map in ["all", "some", "mounted", "kube-root-ca.crt"] {
        bed.may(Verb::Get, "configmaps", &format!("shop/{map}")).await;
    }
    bed.may(Verb::Get, "serviceaccounts", "shop/robot").await;
    for (plural, place) in [
        ("secrets", "shop/password"),
        ("secrets", "other/files"),
        ("configmaps", "shop/files"),
        ("serviceaccounts", "shop/keeper"),
    ] {
        assert_eq!(bed.may_not(Verb::Get, plural, place).await, UNRELATED, "{plural} {place}");
    }
    assert_eq!(bed.may_not(Verb::List, "secrets", "shop/").await, "No Object name found");
    assert_eq!(bed.may_not(Verb::List, "secrets", "").await, "can only read namespaced object of this type");
    assert_eq!(bed.may_not(Verb::Delete, "secrets", "shop/files").await, "can only read resources of this type");
}

#[tokio::test]
async fn an_agent_asks_for_tokens_of_its_pods_accounts() {
    let bed = Bed::new().await;
    let token =
        |name: &str| request(Verb::Create, "serviceaccounts", &format!("shop/{name}"), Some(Subresource::Token));
    assert_eq!(bed.ask(&token("robot")).await, Decision::Allow);
    assert_eq!(bed.ask(&token("keeper")).await, Decision::Pass(UNRELATED.to_owned()));
    let words = "can only create tokens for individual service accounts";
    assert_eq!(bed.may_not(Verb::Create, "serviceaccounts", "shop/").await, words);
    let words = "can only create token subresource of serviceaccount";
    assert_eq!(bed.may_not(Verb::Create, "serviceaccounts", "shop/robot").await, words);
}

#[tokio::test]
async fn an_agent_follows_one_object_by_its_name() {
    let bed = Bed::new().await;
    let follow = |name: &str| Request {
        limits: Limits { name: Some(name.to_owned()), node: None },
        ..request(Verb::Watch, "secrets", "shop/", None)
    };
    assert_eq!(bed.ask(&follow("files")).await, Decision::Allow);
    assert_eq!(bed.ask(&follow("password")).await, Decision::Pass(UNRELATED.to_owned()));
}

#[tokio::test]
async fn an_agent_follows_its_own_pods_and_tells_about_them() {
    let bed = Bed::new().await;
    bed.may(Verb::Get, "pods", "shop/web").await;
    assert_eq!(bed.may_not(Verb::Get, "pods", "shop/db").await, UNRELATED);
    let of = |node: &str| Request {
        limits: Limits { name: None, node: Some(node.to_owned()) },
        ..request(Verb::Watch, "pods", "", None)
    };
    assert_eq!(bed.ask(&of("n1")).await, Decision::Allow);
    let words = "can only list/watch pods with spec.nodeName field selector";
    assert_eq!(bed.ask(&of("n2")).await, Decision::Pass(words.to_owned()));
    assert_eq!(bed.may_not(Verb::List, "pods", "").await, words);
    let status = request(Verb::Patch, "pods", "shop/web", Some(Subresource::Status));
    assert_eq!(bed.ask(&status).await, Decision::Allow);
    for (verb, subresource) in [(Verb::Create, Some(Subresource::Binding)), (Verb::Get, Some(Subresource::Log))] {
        let asked = request(verb, "pods", "shop/web", subresource);
        assert_eq!(bed.ask(&asked).await, Decision::NOTHING, "{subresource:?}");
    }
    assert_eq!(bed.may_not(Verb::Update, "pods", "shop/web").await, "");
}

#[tokio::test]
async fn an_agent_serves_its_node_and_the_network() {
    let bed = Bed::new().await;
    for plural in ["services", "namespaces", "endpointslices", "nodes"] {
        bed.may(Verb::List, plural, "").await;
        bed.may(Verb::Watch, plural, "").await;
    }
    bed.may(Verb::Create, "nodes", "").await;
    bed.may(Verb::Patch, "nodes", "n1").await;
    bed.may(Verb::Create, "events", "shop/").await;
    bed.may(Verb::Patch, "events", "shop/web.1").await;
    bed.may(Verb::Create, "leases", "kube-node-lease/").await;
    bed.may(Verb::Patch, "leases", "kube-node-lease/n1").await;
    bed.may(Verb::Create, "endpointslices", "kube-system/").await;
    bed.may(Verb::Patch, "endpointslices", "kube-system/kube-dns-n1").await;
    for (verb, plural, place, why) in [
        (Verb::Delete, "nodes", "n1", ""),
        (Verb::Create, "services", "shop/", ""),
        (Verb::List, "events", "shop/", ""),
        (Verb::List, "deployments", "shop/", ""),
        (Verb::Patch, "leases", "shop/n1", "can only access leases in the \"kube-node-lease\" system namespace"),
        (
            Verb::Patch,
            "leases",
            "kube-node-lease/n2",
            "can only access node lease with the same name as the requesting node",
        ),
        (Verb::List, "leases", "kube-node-lease/", "can only get, create, update, patch, or delete a node lease"),
        (
            Verb::Patch,
            "endpointslices",
            "kube-system/kube-dns-n2",
            "can only write the endpoint slice \"kube-dns-n1\" in the \"kube-system\" namespace",
        ),
    ] {
        assert_eq!(bed.may_not(verb, plural, place).await, why, "{verb:?} {plural} {place}");
    }
}

#[tokio::test]
async fn only_the_agents_of_nodes_are_agents() {
    let bed = Bed::new().await;
    let asked = request(Verb::Get, "secrets", "shop/files", None);
    let decide = async |name: &str, groups: &[&str]| {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        bed.nodes.decide(&Caller::named(name, groups), Asked::Objects(&asked)).await
    };
    assert_eq!(decide("system:node:n1", &[NODES]).await, Decision::Allow);
    assert_eq!(decide("system:node:n1", &["others"]).await, Decision::NOTHING);
    assert_eq!(decide("n1", &[NODES]).await, Decision::Pass("unknown node for user \"n1\"".to_owned()));
}
