#![expect(clippy::needless_pass_by_value, reason = "cases are written where they are used")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kinds::{self, Kind};

fn kind(group: &str, plural: &str) -> &'static Kind {
    kinds::by_plural(group, "v1", plural).expect("a served kind")
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "labels": { "a": "1", "b": "2" }, "finalizers": ["x", "y", "z"] },
        "spec": {
            "replicas": 2,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%" } },
            "template": { "spec": {
                "nodeSelector": { "zone": "a" },
                "tolerations": [{ "key": "k" }],
                "containers": [
                    { "name": "one", "image": "one:1", "args": ["a", "b"],
                      "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                      "ports": [{ "containerPort": 80, "name": "http" }] },
                    { "name": "two", "image": "two:1" }
                ],
                "volumes": [{ "name": "v", "configMap": { "name": "c" } }]
            } }
        }
    })
}

fn patched(patch: Value) -> Value {
    strategic(&deployment(), &patch, kind("apps", "deployments")).unwrap_or_else(|error| panic!("{patch}: {error}"))
}

fn refused(patch: Value) -> PatchError {
    strategic(&deployment(), &patch, kind("apps", "deployments")).expect_err("a wrong patch")
}

/// A patch of the pod template's spec.
fn pod(spec: Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

fn pod_spec(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}

#[test]
fn maps_merge_scalars_replace_and_null_deletes() {
    let object = patched(json!({ "metadata": { "labels": { "a": null, "c": "3" } }, "spec": { "replicas": 5 } }));
    assert_eq!(object["metadata"]["labels"], json!({ "b": "2", "c": "3" }));
    assert_eq!(object["spec"]["replicas"], 5);
    assert_eq!(object["spec"]["template"], deployment()["spec"]["template"]);
}

#[test]
fn containers_merge_by_name_and_their_lists_too() {
    let object = patched(pod(json!({ "containers": [
        { "name": "one", "image": "one:2", "args": ["c"], "env": [{ "name": "B", "value": "3" }, { "name": "C" }],
          "ports": [{ "containerPort": 80, "protocol": "UDP" }, { "containerPort": 81 }] }] })));
    let one = &pod_spec(&object)["containers"][0];
    assert_eq!(one["image"], "one:2");
    assert_eq!(one["args"], json!(["c"]));
    assert_eq!(one["env"], json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "3" }, { "name": "C" }]));
    assert_eq!(
        one["ports"],
        json!([{ "containerPort": 80, "name": "http", "protocol": "UDP" }, { "containerPort": 81 }])
    );
    assert_eq!(pod_spec(&object)["containers"][1], json!({ "name": "two", "image": "two:1" }));
}

#[test]
fn a_list_item_is_deleted_by_its_key() {
    let object = patched(pod(json!({ "containers": [{ "name": "one", "$patch": "delete" }] })));
    assert_eq!(names(&pod_spec(&object)["containers"]), ["two"]);
    let object = patched(pod(json!({ "containers": [{ "name": "none", "$patch": "delete" }] })));
    assert_eq!(object, deployment());
}

#[test]
fn a_list_is_replaced_by_directive() {
    let object = patched(pod(json!({ "containers": [{ "name": "new" }, { "$patch": "replace" }] })));
    assert_eq!(pod_spec(&object)["containers"], json!([{ "name": "new" }]));
}

#[test]
fn a_map_is_replaced_or_emptied_by_directive() {
    let object = patched(json!({ "spec": { "strategy": { "$patch": "replace", "type": "Recreate" } } }));
    assert_eq!(object["spec"]["strategy"], json!({ "type": "Recreate" }));
    let object = patched(json!({ "metadata": { "labels": { "$patch": "delete" } } }));
    assert_eq!(object["metadata"]["labels"], json!({}));
}

#[test]
fn retain_keys_drops_the_others() {
    let object = patched(json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } }));
    assert_eq!(object["spec"]["strategy"], json!({ "type": "Recreate" }));
    let object =
        patched(pod(json!({ "volumes": [{ "$retainKeys": ["name", "emptyDir"], "name": "v", "emptyDir": {} }] })));
    assert_eq!(pod_spec(&object)["volumes"], json!([{ "name": "v", "emptyDir": {} }]));
    let wrong = json!({ "spec": { "strategy": { "$retainKeys": ["type"], "rollingUpdate": {} } } });
    assert_eq!(refused(wrong), PatchError::Malformed("invalid patch format of retainKeys".to_owned()));
}

#[test]
fn atomic_lists_and_unknown_fields_are_replaced() {
    let object = patched(pod(json!({ "tolerations": [{ "key": "other" }], "nope": [1] })));
    assert_eq!(pod_spec(&object)["tolerations"], json!([{ "key": "other" }]));
    assert_eq!(pod_spec(&object)["nope"], json!([1]));
}

#[test]
fn scalars_merge_as_a_set_and_leave_by_directive() {
    let object = patched(json!({ "metadata": { "finalizers": ["w", "x"] } }));
    assert_eq!(object["metadata"]["finalizers"], json!(["w", "x", "y", "z"]));
    let object = patched(json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["x", "z"] } }));
    assert_eq!(object["metadata"]["finalizers"], json!(["y"]));
    let object = patched(json!({ "metadata": {
        "$deleteFromPrimitiveList/finalizers": ["x"], "$setElementOrder/finalizers": ["w", "z", "y"],
        "finalizers": ["w"] } }));
    assert_eq!(object["metadata"]["finalizers"], json!(["w", "z", "y"]));
}

#[test]
fn the_order_of_a_list_can_be_stated() {
    let object = patched(pod(json!({
        "$setElementOrder/containers": [{ "name": "two" }, { "name": "new" }, { "name": "one" }],
        "containers": [{ "name": "new", "image": "n" }] })));
    assert_eq!(names(&pod_spec(&object)["containers"]), ["two", "new", "one"]);
    let object = patched(pod(json!({ "$setElementOrder/containers": [{ "name": "two" }, { "name": "one" }] })));
    assert_eq!(names(&pod_spec(&object)["containers"]), ["two", "one"]);
}

#[test]
fn items_that_only_the_server_has_keep_their_place() {
    let original = json!({ "spec": { "containers": [{ "name": "a" }, { "name": "injected" }, { "name": "b" }] } });
    let patch = json!({ "spec": {
        "$setElementOrder/containers": [{ "name": "a" }, { "name": "b" }, { "name": "c" }],
        "containers": [{ "name": "c" }] } });
    let object = strategic(&original, &patch, kind("", "pods")).expect("applies");
    assert_eq!(names(&object["spec"]["containers"]), ["a", "injected", "b", "c"]);
}

#[test]
fn items_outside_the_stated_order_are_refused() {
    let patch = pod(json!({ "$setElementOrder/containers": [{ "name": "two" }], "containers": [{ "name": "new" }] }));
    assert!(matches!(refused(patch), PatchError::Unprocessable(why) if why.contains("doesn't match $setElementOrder")));
}

#[test]
fn items_without_their_key_are_refused() {
    let why = r#"map: {"image":"x"} does not contain declared merge key: name"#.to_owned();
    assert_eq!(refused(pod(json!({ "containers": [{ "image": "x" }] }))), PatchError::Unprocessable(why));
    let patch = pod(json!({ "containers": [{ "name": "one", "$patch": "merge" }] }));
    let why = "merging lists cannot yet be specified in the patch".to_owned();
    assert_eq!(refused(patch), PatchError::Unprocessable(why));
    let why = "unknown patch type: nonsense".to_owned();
    assert_eq!(refused(json!({ "spec": { "$patch": "nonsense" } })), PatchError::Unprocessable(why));
    assert!(matches!(refused(json!([])), PatchError::Malformed(_)));
}

#[test]
fn service_ports_merge_by_port() {
    let service = json!({ "spec": { "ports": [{ "port": 80, "nodePort": 30000 }, { "port": 81 }] } });
    let patch = json!({ "spec": { "ports": [{ "port": 80, "targetPort": 8080 }] } });
    let object = strategic(&service, &patch, kind("", "services")).expect("applies");
    assert_eq!(object["spec"]["ports"], json!([{ "port": 80, "nodePort": 30000, "targetPort": 8080 }, { "port": 81 }]));
}

#[test]
fn taints_are_replaced_and_node_conditions_merge() {
    let node = json!({ "spec": { "taints": [{ "key": "a" }] },
                       "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "r" }] } });
    let patch = json!({ "spec": { "taints": [{ "key": "b" }] },
                        "status": { "conditions": [{ "type": "Ready", "status": "False" }, { "type": "Disk" }] } });
    let object = strategic(&node, &patch, kind("", "nodes")).expect("applies");
    assert_eq!(object["spec"]["taints"], json!([{ "key": "b" }]));
    assert_eq!(
        object["status"]["conditions"],
        json!([{ "type": "Ready", "status": "False", "reason": "r" }, { "type": "Disk" }])
    );
}

#[test]
fn json_patches_apply_whole_or_not_at_all() {
    let operations = json!([
        { "op": "replace", "path": "/spec/replicas", "value": 3 },
        { "op": "test", "path": "/spec/replicas", "value": 3 },
        { "op": "add", "path": "/metadata/labels/a~1b", "value": "x" },
        { "op": "remove", "path": "/metadata/finalizers/0" }
    ]);
    let object = json(&deployment(), &operations).expect("applies");
    assert_eq!(object["spec"]["replicas"], 3);
    assert_eq!(object["metadata"]["labels"]["a/b"], "x");
    assert_eq!(object["metadata"]["finalizers"], json!(["y", "z"]));
    let missing = json!([{ "op": "remove", "path": "/nope" }]);
    assert!(matches!(json(&deployment(), &missing), Err(PatchError::Unprocessable(_))));
    assert!(matches!(json(&deployment(), &json!({ "op": "add" })), Err(PatchError::Malformed(_))));
    let many = Value::Array(vec![json!({ "op": "test", "path": "", "value": {} }); 10_001]);
    assert_eq!(json(&json!({}), &many), Err(PatchError::TooManyOperations(10_001)));
}

#[test]
fn json_patches_cannot_grow_an_object_without_bound() {
    let start = json!({ "a": "x".repeat(1000), "b": {} });
    let operations: Vec<Value> =
        (0..64).map(|step| json!({ "op": "copy", "from": "", "path": format!("/b/{step}") })).collect();
    let error = json(&start, &Value::Array(operations)).expect_err("too much");
    assert!(matches!(error, PatchError::Unprocessable(why) if why.starts_with("Unable to complete the copy")));
}

#[test]
fn merge_patches_follow_rfc_7396() {
    let patch =
        json!({ "metadata": { "labels": { "a": null } }, "spec": { "template": { "spec": { "volumes": [] } } } });
    let object = merge(&deployment(), &patch).expect("applies");
    assert_eq!(object["metadata"]["labels"], json!({ "b": "2" }));
    assert_eq!(pod_spec(&object)["volumes"], json!([]));
    assert!(matches!(merge(&deployment(), &json!(1)), Err(PatchError::Malformed(_))));
}

/// Random pod specs whose containers have distinct names.
fn random_pod() -> impl Strategy<Value = Value> {
    let container = ("[a-e]", "[a-z]{0,3}", proptest::collection::btree_map("[A-C]", "[0-9]", 0..3));
    let containers = proptest::collection::vec(container, 0..5);
    let labels = proptest::collection::btree_map("[a-c]", "[a-z]{0,2}", 0..3);
    (containers, labels, proptest::collection::btree_set("[a-d]", 0..4)).prop_map(|(containers, labels, finalizers)| {
        let mut seen = std::collections::BTreeSet::new();
        let containers: Vec<Value> = containers
            .into_iter()
            .filter(|(name, ..)| seen.insert(name.clone()))
            .map(|(name, image, env)| {
                let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
                json!({ "name": name, "image": image, "env": env })
            })
            .collect();
        json!({ "metadata": { "labels": labels, "finalizers": finalizers }, "spec": { "containers": containers } })
    })
}

/// Each copy of a value into its own deepest place doubles the depth: a short patch nested so
/// deep that whoever walked the result ran out of stack.
#[test]
fn a_patch_cannot_nest_without_end() {
    let mut place = "/a".to_owned();
    let mut operations = vec![json!({ "op": "add", "path": "/a", "value": { "b": {} } })];
    for _ in 0..40 {
        let inner = place.clone() + "/b";
        operations.push(json!({ "op": "copy", "from": "/a", "path": inner }));
        place = inner;
    }
    let refused = json(&json!({}), &operations.into()).unwrap_err();
    assert!(
        matches!(&refused, PatchError::Unprocessable(words) if words.contains("exceeding the limit 128")),
        "{refused}"
    );
    // Many harmless moves and copies are no nesting.
    let operations: Vec<Value> = (0..1000)
        .map(|n| match n % 2 {
            0 => json!({ "op": "copy", "from": "/a/b", "path": "/a/c/d/e" }),
            _ => json!({ "op": "move", "from": "/a/c/d/e", "path": "/a/f" }),
        })
        .collect();
    json(&json!({ "a": { "b": 1, "c": { "d": {} } } }), &operations.into()).unwrap();
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing(pod in random_pod()) {
        prop_assert_eq!(&strategic(&pod, &json!({}), kind("", "pods")).unwrap(), &pod);
        prop_assert_eq!(&merge(&pod, &json!({})).unwrap(), &pod);
        prop_assert_eq!(&json(&pod, &json!([])).unwrap(), &pod);
    }

    #[test]
    fn an_object_patched_with_itself_stays(pod in random_pod()) {
        prop_assert_eq!(&strategic(&pod, &pod, kind("", "pods")).unwrap(), &pod);
    }

    #[test]
    fn patching_twice_is_patching_once(pod in random_pod(), patch in random_pod()) {
        let once = strategic(&pod, &patch, kind("", "pods")).unwrap();
        prop_assert_eq!(&strategic(&once, &patch, kind("", "pods")).unwrap(), &once);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(pod in random_pod(), patch in random_pod()) {
        let merged = strategic(&pod, &patch, kind("", "pods")).unwrap();
        let mut found = names(&merged["spec"]["containers"]);
        let mut wanted = names(&pod["spec"]["containers"]);
        wanted.extend(names(&patch["spec"]["containers"]));
        wanted.sort_unstable();
        wanted.dedup();
        found.sort_unstable();
        prop_assert_eq!(found, wanted);
    }
}
