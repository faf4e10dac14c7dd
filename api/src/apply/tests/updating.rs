use serde_json::{Value, json};

use super::{at, config_map, content, fields, kind, managers, status_writer, writer, written};
use crate::apply::{Writer, update};

/// A Deployment as it is stored after `kubectl create deployment`.
fn created() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "default", "labels": { "app": "web" } },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "app": "web" } }, "revisionHistoryLimit": 10,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": "i", "resources": {}, "ports": [{ "containerPort": 80, "protocol": "TCP" }] }],
                          "restartPolicy": "Always", "securityContext": {}, "hostNetwork": false, "volumes": [] },
            },
        },
        "status": { "replicas": 1 },
    })
}

/// What upstream tells after `kubectl create deployment`.
#[test]
fn who_creates_owns_what_go_can_tell_from_nothing() {
    let object = written(&writer("Deployment", "kubectl-create", 0), None, created());
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "time": "2001-09-09T01:46:40Z",
            "fieldsV1": {
                "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
                "f:spec": {
                    "f:replicas": {}, "f:selector": {}, "f:revisionHistoryLimit": {},
                    "f:strategy": { "f:type": {}, "f:rollingUpdate": { ".": {}, "f:maxSurge": {}, "f:maxUnavailable": {} } },
                    "f:template": {
                        "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
                        "f:spec": {
                            "f:restartPolicy": {}, "f:securityContext": {},
                            "f:containers": { "k:{\"name\":\"c\"}": {
                                ".": {}, "f:name": {}, "f:image": {}, "f:resources": {},
                                "f:ports": { ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {}, "f:protocol": {} } },
                            } },
                        },
                    },
                },
            },
        }])
    );
    assert_eq!(content(&object), created());
}

#[test]
fn who_changes_a_field_takes_it() {
    let first = written(&writer("ConfigMap", "a", 0), None, config_map(json!({ "x": "1", "y": "1" })));
    let second = written(&writer("ConfigMap", "b", 5), Some(&first), config_map(json!({ "x": "2", "z": "1" })));
    assert_eq!(fields(&second, "a"), &json!({ "f:data": {} }));
    assert_eq!(fields(&second, "b"), &json!({ "f:data": { "f:x": {}, "f:z": {} } }));
    let third = written(&writer("ConfigMap", "a", 9), Some(&second), config_map(json!({ "x": "2", "z": "3" })));
    assert_eq!(fields(&third, "a"), &json!({ "f:data": { ".": {}, "f:z": {} } }));
    assert_eq!(managers(&third), ["b", "a"]);
    assert_eq!(third["metadata"]["managedFields"][1]["time"], "2001-09-09T01:46:49Z");
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let first = written(&writer("Deployment", "a", 0), None, created());
    let mut same = content(&first);
    same["spec"]["template"]["spec"]["containers"][0]["tty"] = false.into();
    same["metadata"]["annotations"] = json!({});
    same["metadata"]["resourceVersion"] = "7".into();
    same["status"]["replicas"] = 5.into();
    let second = written(&writer("Deployment", "b", 5), Some(&first), same);
    assert_eq!(second["metadata"]["managedFields"], first["metadata"]["managedFields"]);
}

#[test]
fn a_status_has_owners_of_its_own() {
    let first = written(&writer("Deployment", "a", 0), None, content(&created()));
    let mut next = content(&first);
    next["status"] = json!({ "replicas": 2, "conditions": [{ "type": "Available", "status": "True" }] });
    let second = written(&status_writer("Deployment", "controller", 1), Some(&first), next);
    assert_eq!(second["metadata"]["managedFields"][0], first["metadata"]["managedFields"][0]);
    assert_eq!(
        second["metadata"]["managedFields"][1],
        json!({
            "manager": "controller", "operation": "Update", "apiVersion": "apps/v1", "subresource": "status",
            "fieldsType": "FieldsV1", "time": "2001-09-09T01:46:41Z",
            "fieldsV1": { "f:status": {
                "f:replicas": {},
                "f:conditions": { ".": {}, "k:{\"type\":\"Available\"}": { ".": {}, "f:status": {}, "f:type": {} } },
            } },
        })
    );
}

#[test]
fn the_same_name_owns_a_part_and_the_rest_apart() {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": { "nodeName": "n" } });
    let first = written(&writer("Pod", "kubelet", 0), None, pod.clone());
    let mut next = content(&first);
    next["status"] = json!({ "phase": "Running" });
    let second = written(&status_writer("Pod", "kubelet", 0), Some(&first), next);
    assert_eq!(managers(&second), ["kubelet", "kubelet"]);
}

#[test]
fn a_client_may_say_who_owns_what() {
    let mut first = config_map(json!({ "x": "1" }));
    first["metadata"]["managedFields"] = json!([{
        "manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { "f:y": {} } },
    }]);
    let first = written(&writer("ConfigMap", "a", 0), None, first);
    assert_eq!(managers(&first), ["m", "a"]);
    let mut moved = first.clone();
    moved["metadata"]["managedFields"][0]["manager"] = "n".into();
    let moved = written(&writer("ConfigMap", "b", 1), Some(&first), moved);
    assert_eq!(managers(&moved), ["n", "a"]);
    assert_eq!(fields(&moved, "n"), &json!({ "f:data": { "f:y": {} } }));
}

#[test]
fn a_client_may_forget_all_owners() {
    let first = written(&writer("ConfigMap", "a", 0), None, config_map(json!({ "x": "1" })));
    for cleared in [json!([]), json!([{}])] {
        let mut next = config_map(json!({ "x": "2" }));
        next["metadata"]["managedFields"] = cleared;
        let next = written(&writer("ConfigMap", "b", 1), Some(&first), next);
        assert_eq!(next["metadata"].get("managedFields"), None);
        let later = written(&writer("ConfigMap", "b", 2), Some(&next), config_map(json!({ "x": "3" })));
        assert_eq!(later["metadata"].get("managedFields"), None);
    }
    for ignored in [Value::Null, json!([{ "manager": "x" }]), json!([{ "operation": "Update", "apiVersion": "v1" }])] {
        let mut next = config_map(json!({ "x": "1" }));
        next["metadata"]["managedFields"] = ignored;
        let next = written(&writer("ConfigMap", "b", 1), Some(&first), next);
        assert_eq!(next, first);
    }
}

#[test]
fn a_write_through_a_part_does_not_say_who_owns_what() {
    let first = written(&writer("Deployment", "a", 0), None, created());
    let mut next = first.clone();
    next["metadata"]["managedFields"] = json!([{}]);
    next["status"]["replicas"] = 7.into();
    let next = written(&status_writer("Deployment", "b", 0), Some(&first), next);
    assert_eq!(managers(&next), ["a", "b"]);
}

#[test]
fn owners_of_another_version_stay_as_they_are() {
    let mut first = config_map(json!({ "x": "1" }));
    let entry = json!({
        "manager": "m", "operation": "Update", "apiVersion": "example/v2", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:data": { "f:x": {} } }, "time": "2000-01-01T00:00:00Z",
    });
    first["metadata"]["managedFields"] = json!([entry]);
    let next = written(&writer("ConfigMap", "a", 0), Some(&first), config_map(json!({ "x": "2" })));
    assert_eq!(next["metadata"]["managedFields"][0], entry);
    assert_eq!(fields(&next, "a"), &json!({ "f:data": { "f:x": {} } }));
}

#[test]
fn who_gives_no_name_is_unknown() {
    let nameless = Writer { manager: "", kind: kind("ConfigMap"), part: None, now: at(0) };
    let mut object = config_map(json!({ "x": "1" }));
    update(&nameless, None, &mut object);
    assert_eq!(managers(&object), ["unknown"]);
}

#[test]
fn a_list_that_cannot_be_told_apart_leaves_owners_as_they_are() {
    let first = written(&writer("Deployment", "a", 0), None, created());
    let mut next = content(&first);
    next["spec"]["template"]["spec"]["containers"] = json!([{ "image": "nameless" }]);
    let next = written(&writer("Deployment", "b", 1), Some(&first), next);
    assert_eq!(next["metadata"]["managedFields"], first["metadata"]["managedFields"]);
}

#[test]
fn items_that_stand_twice_are_owned_as_a_whole() {
    let env = |values: &[&str]| {
        let items: Vec<Value> = values.iter().map(|value| json!({ "name": "A", "value": value })).collect();
        super::with_containers(json!([{ "name": "c", "env": items }]))
    };
    let key = "k:{\"name\":\"A\"}";
    let of = |object: &Value, manager: &str| {
        let c = "k:{\"name\":\"c\"}";
        fields(object, manager)["f:spec"]["f:template"]["f:spec"]["f:containers"][c]["f:env"].clone()
    };
    let twice = written(&writer("Deployment", "a", 0), None, env(&["1", "2"]));
    assert_eq!(of(&twice, "a"), json!({ ".": {}, key: {} }));
    let changed = written(&writer("Deployment", "b", 1), Some(&twice), env(&["1", "3"]));
    assert_eq!(of(&changed, "b"), json!({ key: {} }));
    let once = written(&writer("Deployment", "c", 2), Some(&changed), env(&["1"]));
    assert_eq!(of(&once, "c"), json!({ key: { ".": {}, "f:name": {}, "f:value": {} } }));
}
