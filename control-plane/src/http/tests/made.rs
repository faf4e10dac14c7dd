//! Kinds that are not stored: reviews, component statuses, bindings.

use http::{Method, header};
use nodeplane_api::{
    kinds::{KINDS, Verb},
    protobuf,
};
use serde_json::{Value, json};

use super::bed::{Answer, Ask, Bed, PODS, TABLE, collection, kind, pod, text};
use crate::http::authn::Caller;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const ACCESS: &str = "/apis/authorization.k8s.io/v1";

/// Asks as somebody, as kubectl does: in protobuf.
async fn ask_as(bed: &Bed, caller: Caller, path: &str, body: &Value) -> Answer {
    let ask = Ask::new(Method::POST, path).raw_body(protobuf::encode(body).unwrap());
    let ask = ask.header(header::CONTENT_TYPE, PROTOBUF).header(header::ACCEPT, "application/json");
    Answer::of(bed.reply(caller, ask).await)
}

fn admin() -> Caller {
    Caller::component("admin")
}

fn jane() -> Caller {
    let groups = ["dev", "system:authenticated"].map(str::to_owned).into();
    Caller::named("jane", groups).with_uid("7").with_extra("team", vec!["red".to_owned()])
}

fn review(kind: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec })
}

fn may(verb: &str, group: &str, resource: &str) -> Value {
    json!({ "resourceAttributes": { "namespace": "default", "verb": verb, "group": group, "resource": resource } })
}

async fn status_of(bed: &Bed, caller: Caller, kind: &str, spec: Value) -> Value {
    let path = format!("{ACCESS}/{}s", kind.to_lowercase());
    ask_as(bed, caller, &path, &review(kind, &spec)).await.created()["status"].take()
}

#[tokio::test]
async fn each_takes_its_own_verbs_and_stores_nothing() {
    let bed = Bed::start().await;
    for kind in KINDS.iter().filter(|kind| !kind.is_stored()) {
        let path = collection(kind);
        for (verb, method, path) in [
            (Verb::List, Method::GET, path.clone()),
            (Verb::Get, Method::GET, format!("{path}/x")),
            (Verb::Update, Method::PUT, format!("{path}/x")),
            (Verb::Delete, Method::DELETE, format!("{path}/x")),
            (Verb::DeleteCollection, Method::DELETE, path.clone()),
            (Verb::Create, Method::POST, path.clone()),
        ] {
            let answer = bed.send(Ask::new(method, &path).body(&json!({}))).await;
            assert_eq!(answer.code != 405, kind.verbs.contains(&verb), "{kind:?} {verb:?}: {}", answer.text);
        }
        let all = bed.api.objects.collection(kind, "");
        let page = bed.store.list(&all, None, None, 0).await.unwrap();
        assert!(page.entries.is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn somebody_asks_what_they_may_do() {
    let bed = Bed::start().await;
    let kind = "SelfSubjectAccessReview";
    assert_eq!(status_of(&bed, admin(), kind, may("create", "", "pods")).await, json!({ "allowed": true }));
    assert_eq!(status_of(&bed, admin(), kind, may("*", "*", "*")).await, json!({ "allowed": true }));
    assert_eq!(status_of(&bed, jane(), kind, may("create", "", "pods")).await, json!({ "allowed": false }));
    let path = |path: &str, verb: &str| json!({ "nonResourceAttributes": { "path": path, "verb": verb } });
    assert_eq!(status_of(&bed, jane(), kind, path("/apis", "get")).await["allowed"], true);
    assert_eq!(status_of(&bed, jane(), kind, path("/apis", "post")).await["allowed"], false);
    let own = may("create", "authorization.k8s.io", "selfsubjectaccessreviews");
    assert_eq!(status_of(&bed, jane(), kind, own).await["allowed"], true);
}

#[tokio::test]
async fn an_administrator_asks_about_others_and_gets_the_reason() {
    let bed = Bed::start().await;
    let mut node = may("get", "", "secrets");
    node["user"] = "system:node:n1".into();
    node["groups"] = json!(["system:nodes"]);
    node["resourceAttributes"]["name"] = "password".into();
    let status = status_of(&bed, admin(), "SubjectAccessReview", node.clone()).await;
    let why = "no relationship found between node 'n1' and this object";
    assert_eq!(status, json!({ "allowed": false, "reason": why }));
    let mut own = json!({ "resourceAttributes": { "verb": "list", "resource": "pods", "fieldSelector": {
        "requirements": [{ "key": "spec.nodeName", "operator": "In", "values": ["n1"] }] } } });
    own["user"] = "system:node:n1".into();
    own["groups"] = json!(["system:nodes"]);
    assert_eq!(status_of(&bed, admin(), "SubjectAccessReview", own.clone()).await["allowed"], true);
    own["resourceAttributes"]["fieldSelector"]["requirements"][0]["values"] = json!(["n2"]);
    assert_eq!(status_of(&bed, admin(), "SubjectAccessReview", own).await["allowed"], false);
    let local = format!("{ACCESS}/namespaces/default/localsubjectaccessreviews");
    let answer = ask_as(&bed, admin(), &local, &review("LocalSubjectAccessReview", &node)).await.created();
    assert_eq!((&answer["status"]["reason"], text(&answer, "/metadata/namespace")), (&json!(why), "default"));
    // Others may not ask.
    let asked = review("SubjectAccessReview", &may("get", "", "pods"));
    let refused = ask_as(&bed, jane(), &format!("{ACCESS}/subjectaccessreviews"), &asked).await;
    assert!(refused.failed(403, "Forbidden").contains("cannot create resource \"subjectaccessreviews\""));
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_in_the_words_of_upstream() {
    let bed = Bed::start().await;
    let refused = async |kind: &str, path: &str, mut spec: Value, metadata: Value| {
        if kind != "SelfSubjectAccessReview" && spec["user"].is_null() {
            spec["user"] = "jane".into();
        }
        let mut body = review(kind, &spec);
        body["metadata"] = metadata;
        bed.post(&format!("{ACCESS}/{path}"), body).await.failed(422, "Invalid")
    };
    let sar = ("SubjectAccessReview", "subjectaccessreviews");
    let local = ("LocalSubjectAccessReview", "namespaces/default/localsubjectaccessreviews");
    for ((kind, path), spec, metadata, why) in [
        (
            sar,
            json!({}),
            json!({}),
            "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must \
          be specified",
        ),
        (
            sar,
            json!({ "user": "", "nonResourceAttributes": { "path": "/", "verb": "get" } }),
            json!({}),
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ),
        (
            sar,
            json!({ "resourceAttributes": {}, "nonResourceAttributes": {} }),
            json!({}),
            "cannot be specified in combination with resourceAttributes",
        ),
        (sar, json!({ "resourceAttributes": {} }), json!({ "name": "x" }), "must be empty"),
        (
            sar,
            json!({ "resourceAttributes": { "fieldSelector": {} } }),
            json!({}),
            "spec.resourceAttributes.fieldSelector.requirements: Required value",
        ),
        (
            local,
            json!({ "resourceAttributes": { "namespace": "other" } }),
            json!({}),
            "spec.resourceAttributes.namespace: Invalid value: \"other\": must match metadata.namespace",
        ),
        (local, json!({ "nonResourceAttributes": {} }), json!({}), "disallowed on this kind of request"),
        (
            local,
            json!({ "resourceAttributes": { "namespace": "default" } }),
            json!({ "labels": { "a": "b" } }),
            "must be empty except for namespace",
        ),
    ] {
        let said = refused(kind, path, spec, metadata).await;
        assert!(said.starts_with(&format!("{kind}.authorization.k8s.io \"\" is invalid: ")), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn rules_are_what_is_true_for_whoever_asks() {
    let bed = Bed::start().await;
    let kind = "SelfSubjectRulesReview";
    let rules = async |caller| status_of(&bed, caller, kind, json!({ "namespace": "default" })).await;
    let master = rules(admin()).await;
    assert_eq!(master["resourceRules"][0], json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
    assert_eq!(master["nonResourceRules"][0], json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
    assert_eq!(master["incomplete"], false);
    let own = rules(jane()).await;
    assert_eq!(own["resourceRules"].as_array().unwrap().len(), 2, "{own}");
    let node = rules(Caller::named("system:node:n1", vec!["system:nodes".into(), "system:authenticated".into()])).await;
    assert_eq!(node["incomplete"], true);
    assert_eq!(node["evaluationError"], "node authorizer does not support user rule resolution");
    let bare = bed.post(&format!("{ACCESS}/selfsubjectrulesreviews"), review(kind, &json!({}))).await;
    assert_eq!(bare.failed(400, "BadRequest"), "no namespace on request");
}

#[tokio::test]
async fn somebody_asks_who_they_are() {
    let bed = Bed::start().await;
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let known = ask_as(&bed, jane(), path, &asked).await.created();
    let user = json!({
        "username": "jane", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": { "team": ["red"] },
    });
    assert_eq!(known["status"], json!({ "userInfo": user }));
    // In protobuf, a list in a map is a message of its own.
    let ask = Ask::new(Method::POST, path).body(&asked).header(header::ACCEPT, PROTOBUF);
    let answer = Answer::of(bed.reply(jane(), ask).await);
    assert_eq!(protobuf::decode(&answer.bytes, ("", "")).unwrap()["status"]["userInfo"], user);
}

#[tokio::test]
async fn components_are_as_well_as_they_are() {
    let bed = Bed::start().await;
    let path = "/api/v1/componentstatuses";
    let list = bed.get(path).await;
    assert_eq!(list.warnings(), ["299 - \"v1 ComponentStatus is deprecated in v1.19+\""]);
    let list = list.ok();
    assert_eq!(text(&list, "/kind"), "ComponentStatusList");
    let health = |list: &Value, name: &str| {
        let items = list["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["metadata"]["name"] == name).unwrap();
        found["conditions"][0].clone()
    };
    assert_eq!(health(&list, "etcd-0"), json!({ "type": "Healthy", "status": "True", "message": "ok" }));
    for name in ["scheduler", "controller-manager"] {
        let unwell = json!({ "type": "Healthy", "status": "False", "message": "no server runs it" });
        assert_eq!(health(&list, name), unwell);
    }
    {
        let _moving = bed.api.moves.begin();
        let one = bed.get(&format!("{path}/scheduler")).await.ok();
        assert_eq!(one["conditions"][0]["status"], "True");
    }
    let table = bed.send(Ask::new(Method::GET, path).header(header::ACCEPT, TABLE)).await.ok();
    assert_eq!(table["rows"].as_array().unwrap().len(), 3);
    assert_eq!(table["rows"][2]["cells"], json!(["etcd-0", "Healthy", "ok", ""]));
    let chosen = bed.get(&format!("{path}?fieldSelector=metadata.name%3Dscheduler")).await.ok();
    assert_eq!(chosen["items"].as_array().unwrap().len(), 1);
    let gone = bed.get(&format!("{path}/nothing")).await.failed(404, "NotFound");
    assert_eq!(gone, "componentstatuses \"nothing\" not found");
}

#[tokio::test]
async fn another_servers_lease_tells_that_the_cluster_is_moved() {
    let bed = Bed::start().await;
    bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "kube-system" } })).await.created();
    let lease = |renewed: &str| {
        json!({ "metadata": { "name": "nodeplane-controllers" }, "spec": {
            "holderIdentity": "another", "leaseDurationSeconds": 15, "renewTime": renewed } })
    };
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let health = async |at: &str| {
        let one = bed.get("/api/v1/componentstatuses/scheduler").await.ok();
        assert_eq!(one["conditions"][0]["status"], at);
    };
    bed.post(leases, lease("2020-01-01T00:00:00.000000Z")).await.created();
    health("False").await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
    let written = bed.put(&format!("{leases}/nodeplane-controllers"), lease(&now)).await.ok();
    bed.api.objects.cache().wait_until(super::bed::rv(&written), std::time::Duration::from_secs(20)).await.unwrap();
    health("True").await;
}

#[tokio::test]
async fn a_pod_is_bound_by_the_path_of_old() {
    let bed = Bed::start().await;
    bed.post(PODS, pod("a")).await.created();
    let path = collection(kind("bindings"));
    let binding = |name: &str| json!({ "metadata": { "name": name }, "target": { "kind": "Node", "name": "n1" } });
    assert_eq!(bed.post(&path, binding("a")).await.created()["status"], "Success");
    assert_eq!(bed.get(&format!("{PODS}/a")).await.ok()["spec"]["nodeName"], "n1");
    let again = bed.post(&path, binding("a")).await.failed(409, "Conflict");
    assert!(again.contains("pod a is already assigned to node \"n1\""), "{again}");
    bed.post(&path, binding("b")).await.failed(404, "NotFound");
    let nameless = bed.post(&path, binding("")).await.failed(422, "Invalid");
    assert!(nameless.contains("metadata.name: Required value"), "{nameless}");
    let refused = Answer::of(bed.reply(jane(), Ask::new(Method::POST, &path).body(&binding("a"))).await);
    refused.failed(403, "Forbidden");
}
