use nodeplane_api::kinds;

use super::*;
use crate::fake::Fake;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn kind(plural: &str) -> &'static Kind {
    kinds::KINDS.iter().find(|kind| kind.plural == plural).unwrap()
}

fn pod(name: &str) -> Write {
    Write::create(kind("pods"), &json!({ "metadata": { "name": name, "namespace": "default" } }))
}

#[test]
fn paths_follow_group_scope_and_part() {
    let check = |plural, namespace: &str, name: &str, part, expected: &str| {
        assert_eq!(path(kind(plural), &Key::new(namespace, name), part), expected);
    };
    check("pods", "default", "a", None, "/api/v1/namespaces/default/pods/a");
    check("pods", "default", "a", Some(Subresource::Binding), "/api/v1/namespaces/default/pods/a/binding");
    check("nodes", "", "n", Some(Subresource::Status), "/api/v1/nodes/n/status");
    check("replicasets", "x", "r", None, "/apis/apps/v1/namespaces/x/replicasets/r");
    assert_eq!(collection(kind("deployments"), ""), "/apis/apps/v1/deployments");
    assert_eq!(collection(kind("namespaces"), "ignored"), "/api/v1/namespaces");
}

#[test]
fn delete_options_carry_preconditions() {
    assert_eq!(
        delete_options("u", Some("7"), Propagation::Orphan, Some(0)),
        json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Orphan",
                "gracePeriodSeconds": 0, "preconditions": { "uid": "u", "resourceVersion": "7" } })
    );
}

#[tokio::test]
async fn answers_are_sorted_by_what_a_controller_does_next() {
    let fake = Fake::default();
    let hands = Hands::new(fake.client());
    let created = hands.apply(&pod("a")).await.unwrap();
    assert_eq!(created["kind"], "Pod");
    assert!(matches!(hands.apply(&pod("a")).await, Err(WriteError::AlreadyExists(_))));
    let mut stale = created.clone();
    stale["metadata"]["resourceVersion"] = "999".into();
    let replace = Write::replace(kind("pods"), None, &stale);
    assert!(matches!(hands.apply(&replace).await, Err(WriteError::Conflict(_))));
    let delete = Write::delete(kind("pods"), Key::new("default", "a"), "");
    hands.apply(&delete).await.unwrap();
    assert_eq!(hands.apply(&delete).await.unwrap(), Value::Null);
    assert!(matches!(hands.apply(&replace).await, Err(WriteError::NotFound(_))));
    fake.refuse(403, "Forbidden");
    assert!(matches!(hands.apply(&pod("a")).await, Err(WriteError::Refused { code: 403, .. })));
    assert_eq!(hands.get(kind("pods"), &Key::new("default", "a")).await.unwrap(), None);
}

#[test]
fn a_terminating_namespace_is_told_from_other_refusals() {
    let status: Status = serde_json::from_value(json!({
        "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no",
        "details": { "causes": [{ "reason": "NamespaceTerminating", "message": "m", "field": "metadata.namespace" }] }
    }))
    .unwrap();
    assert!(matches!(WriteError::from_status(status), WriteError::NamespaceTerminating(_)));
}

#[tokio::test]
async fn batches_grow_and_end_after_a_failure() {
    let fake = Fake::default();
    let hands = Hands::new(fake.client());
    let writes: Vec<_> = (0..20).map(|n| pod(&format!("p{n}"))).collect();
    fake.refuse(403, "Forbidden");
    let (error, untried) = hands.apply_in_batches(&writes, |_, _| {}).await.unwrap_err();
    assert!(matches!(error, WriteError::Refused { .. }));
    assert_eq!((untried, fake.requests().len()), (19, 1));

    let mut answers = 0;
    hands.apply_in_batches(&writes, |_, answer| answers += usize::from(answer.is_ok())).await.unwrap();
    assert_eq!((answers, fake.count(PODS)), (20, 20));
}
