use serde_json::{Value, json};

use super::{applied, config_map, content, fields, kind, managers, must, with_containers, writer, written};

fn containers(object: &Value) -> Vec<&str> {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| container["name"].as_str().unwrap()).collect()
}

fn named(names: &str) -> Value {
    with_containers(names.split(' ').map(|name| json!({ "name": name })).collect())
}

#[test]
fn items_of_others_keep_their_places() {
    for (live, config, merged) in [
        ("a b c", "b", "a b c"),
        ("a b c", "c a", "b c a"),
        ("a b c", "d", "a b c d"),
        ("a b c", "d b", "a d b c"),
        ("a b", "b c a", "b c a"),
        ("a b c d", "d e a", "b c d e a"),
        ("x a y b z", "b n a", "x y b z n a"),
    ] {
        let live = written(&writer("Deployment", "other", 0), None, named(live));
        assert_eq!(containers(&must(&writer("Deployment", "a", 1), Some(&live), &named(config))).join(" "), merged);
    }
}

#[test]
fn ports_are_told_apart_by_their_defaults_too() {
    let ports = |ports: Value| with_containers(json!([{ "name": "c", "ports": ports }]));
    let first = written(
        &writer("Deployment", "other", 0),
        None,
        ports(json!([{ "containerPort": 53, "protocol": "TCP" }, { "containerPort": 53, "protocol": "UDP" }])),
    );
    let next =
        must(&writer("Deployment", "a", 1), Some(&first), &ports(json!([{ "containerPort": 53, "name": "dns" }])));
    assert_eq!(
        next["spec"]["template"]["spec"]["containers"][0]["ports"],
        json!([{ "containerPort": 53, "protocol": "TCP", "name": "dns" }, { "containerPort": 53, "protocol": "UDP" }])
    );
    let c = "k:{\"name\":\"c\"}";
    assert_eq!(
        fields(&next, "a")["f:spec"]["f:template"]["f:spec"]["f:containers"][c]["f:ports"],
        json!({ "k:{\"containerPort\":53,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {}, "f:name": {} } })
    );
}

#[test]
fn an_item_goes_with_its_last_owner() {
    let first = must(
        &writer("Deployment", "a", 0),
        None,
        &with_containers(json!([{ "name": "c", "image": "i" }, { "name": "d" }])),
    );
    let shared = with_containers(json!([{ "name": "c", "tty": true }]));
    let second = must(&writer("Deployment", "b", 1), Some(&first), &shared);
    let third = must(&writer("Deployment", "a", 2), Some(&second), &named("e"));
    assert_eq!(third["spec"]["template"]["spec"]["containers"], json!([{ "name": "c", "tty": true }, { "name": "e" }]));
    let fourth = must(&writer("Deployment", "b", 3), Some(&third), &named("e"));
    assert_eq!(containers(&fourth), ["e"]);
}

/// What an updater put below an item does not keep it, but it does keep itself in one that stays.
#[test]
fn an_item_goes_with_what_an_updater_put_below() {
    let first = must(&writer("Deployment", "a", 0), None, &named("c d"));
    let mut changed = content(&first);
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "i".into();
    let second = written(&writer("Deployment", "u", 1), Some(&first), changed);
    let third = must(&writer("Deployment", "a", 2), Some(&second), &named("d"));
    assert_eq!(containers(&third), ["d"]);
    assert_eq!(managers(&third), ["a"]);
    let shared = must(&writer("Deployment", "b", 2), Some(&second), &named("c"));
    let fourth = must(&writer("Deployment", "a", 3), Some(&shared), &named("d"));
    assert_eq!(
        fourth["spec"]["template"]["spec"]["containers"],
        json!([{ "name": "c", "image": "i" }, { "name": "d" }])
    );
    assert_eq!(managers(&fourth), ["b", "a", "u"]);
}

#[test]
fn sets_of_texts_merge() {
    let finalizers = |names: &[&str]| {
        let mut object = config_map(json!({}));
        object["metadata"]["finalizers"] = json!(names);
        object
    };
    let first = must(&writer("ConfigMap", "a", 0), None, &finalizers(&["x/a", "x/b"]));
    let second = must(&writer("ConfigMap", "b", 1), Some(&first), &finalizers(&["x/c", "x/b"]));
    assert_eq!(second["metadata"]["finalizers"], json!(["x/a", "x/c", "x/b"]));
    assert_eq!(fields(&second, "b")["f:metadata"], json!({ "f:finalizers": { "v:\"x/b\"": {}, "v:\"x/c\"": {} } }));
    let third = must(&writer("ConfigMap", "a", 2), Some(&second), &finalizers(&[]));
    assert_eq!(third["metadata"]["finalizers"], json!(["x/c", "x/b"]));
}

#[test]
fn what_is_atomic_has_one_owner() {
    let args = |args: &[&str]| with_containers(json!([{ "name": "c", "args": args }]));
    let first = must(&writer("Deployment", "a", 0), None, &args(&["x", "y"]));
    let refused = applied(&writer("Deployment", "b", 1), Some(&first), &args(&["x"]), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.template.spec.containers[name=\"c\"].args"
    );
    let forced = applied(&writer("Deployment", "b", 1), Some(&first), &args(&["x"]), true).unwrap();
    assert_eq!(forced["spec"]["template"]["spec"]["containers"][0]["args"], json!(["x"]));
    let selector = |selector: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" }, "spec": { "selector": selector } });
    let first = must(&writer("Service", "a", 0), None, &selector(json!({ "app": "x" })));
    let refused = applied(&writer("Service", "b", 1), Some(&first), &selector(json!({ "tier": "y" })), false);
    assert_eq!(refused.unwrap_err().to_string(), "Apply failed with 1 conflict: conflict with \"a\": .spec.selector");
    let second = must(&writer("Service", "a", 1), Some(&first), &selector(json!({ "tier": "y" })));
    assert_eq!(second["spec"]["selector"], json!({ "tier": "y" }));
}

#[test]
fn what_is_untyped_is_atomic() {
    let revision = |data: Value| json!({ "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": { "name": "r" }, "revision": 1, "data": data });
    assert_eq!(kind("ControllerRevision").api_version(), "apps/v1");
    let first = must(&writer("ControllerRevision", "a", 0), None, &revision(json!({ "x": { "y": 1 } })));
    assert_eq!(fields(&first, "a"), &json!({ "f:data": {}, "f:revision": {} }));
}

#[test]
fn empty_lists_and_maps_are_told_from_nothing() {
    let volume = with_containers(json!([{ "name": "c", "env": [], "securityContext": {} }]));
    let first = must(&writer("Deployment", "a", 0), None, &volume);
    let container = &first["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container, &json!({ "name": "c", "env": [], "securityContext": {} }));
    let c = "k:{\"name\":\"c\"}";
    assert_eq!(
        fields(&first, "a")["f:spec"]["f:template"]["f:spec"]["f:containers"][c],
        json!({ ".": {}, "f:name": {}, "f:securityContext": {} })
    );
}
