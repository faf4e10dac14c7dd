use serde_json::{Value, json};

use super::{
    attachment::AttachmentStrategy, capacity::CapacityStrategy, class::ClassStrategy, driver::DriverStrategy,
    node::NodeStrategy,
};
use crate::registry::{
    Strategy,
    cases::{created, refused, refused_update, said, updated, with},
};

const NOTHING: &[&str] = &[];

fn object(kind: &str, fields: &Value) -> Value {
    let mut object = json!({ "apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": { "name": "x" } });
    json_patch::merge(&mut object, fields);
    object
}

#[test]
fn a_storage_class_stays_as_it_was_made() {
    let class = object("StorageClass", &json!({ "provisioner": "example.com/disk", "parameters": { "a": "b" } }));
    let made = created(&ClassStrategy, &class);
    assert_eq!((&made["reclaimPolicy"], &made["volumeBindingMode"]), (&json!("Delete"), &json!("Immediate")));
    assert_eq!(refused(&ClassStrategy, &class), NOTHING);
    let said = |changes: &[(&str, Value)]| refused(&ClassStrategy, &with(&class, changes));
    assert_eq!(said(&[("/provisioner", json!(""))]), ["provisioner: Required value"]);
    assert_eq!(
        said(&[("/reclaimPolicy", json!("Recycle"))]),
        ["reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\""]
    );
    assert_eq!(
        said(&[("/volumeBindingMode", json!("Later"))]),
        ["volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \"WaitForFirstConsumer\""]
    );
    assert_eq!(
        said(&[("/parameters", json!({ "": "x" }))]),
        ["parameters: Invalid value: \"\": field can not be empty."]
    );
    let zone = |values: Value| json!({ "matchLabelExpressions": [{ "key": "zone", "values": values }] });
    assert_eq!(said(&[("/allowedTopologies", json!([zone(json!(["a", "b"])), zone(json!(["a"]))]))]), NOTHING);
    let at = "allowedTopologies[0].matchLabelExpressions[0].values";
    assert_eq!(said(&[("/allowedTopologies", json!([zone(json!([]))]))]), [format!("{at}: Required value")]);
    assert_eq!(
        said(&[("/allowedTopologies", json!([zone(json!(["a", "a"]))]))]),
        [format!("{at}[1]: Duplicate value: \"a\"")]
    );
    assert_eq!(
        said(&[("/allowedTopologies", json!([zone(json!(["a", "b"])), zone(json!(["b", "a"]))]))]),
        ["allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""]
    );
    let other = with(
        &class,
        &[
            ("/parameters/a", json!("c")),
            ("/provisioner", json!("example.com/other")),
            ("/reclaimPolicy", json!("Retain")),
            ("/volumeBindingMode", json!("WaitForFirstConsumer")),
            ("/allowVolumeExpansion", json!(true)),
        ],
    );
    assert_eq!(
        refused_update(&ClassStrategy, &other, &class),
        [
            "parameters: Forbidden: updates to parameters are forbidden.",
            "provisioner: Forbidden: updates to provisioner are forbidden.",
            "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
            "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
        ]
    );
}

#[test]
fn a_driver_gets_its_defaults_and_counts_its_changes() {
    let driver = object("CSIDriver", &json!({ "spec": {} }));
    let made = created(&DriverStrategy, &driver);
    let expected = json!({
        "attachRequired": true, "podInfoOnMount": false, "storageCapacity": false, "requiresRepublish": false,
        "fsGroupPolicy": "ReadWriteOnceWithFSType", "seLinuxMount": false, "volumeLifecycleModes": ["Persistent"],
    });
    assert_eq!(made["spec"], expected);
    assert_eq!(made["metadata"].get("generation"), None);
    assert_eq!(updated(&DriverStrategy, &made, &made), made);
    let changed = updated(&DriverStrategy, &with(&made, &[("/spec/storageCapacity", json!(true))]), &made);
    assert_eq!(changed["metadata"]["generation"], 1);
    assert_eq!(
        refused_update(&DriverStrategy, &with(&made, &[("/spec/attachRequired", json!(false))]), &made),
        ["spec.attachedRequired: Invalid value: false: field is immutable"]
    );
}

#[test]
fn a_driver_says_what_it_can_do() {
    let said = |name: &str, spec: Value| {
        let driver = object("CSIDriver", &json!({ "metadata": { "name": name }, "spec": spec }));
        refused(&DriverStrategy, &driver)
    };
    assert_eq!(said("Disk.example.com", json!({ "volumeLifecycleModes": ["Ephemeral"] })), NOTHING);
    assert_eq!(said(&"a".repeat(64), json!({})), ["name: Too long: may not be more than 63 bytes"]);
    assert_eq!(
        said("d", json!({ "volumeLifecycleModes": ["Eternal"] })),
        ["spec.volumeLifecycleModes: Unsupported value: \"Eternal\": supported values: \"Ephemeral\", \"Persistent\""]
    );
    let tokens = json!([
        { "audience": "a", "expirationSeconds": 599 }, { "audience": "a", "expirationSeconds": 4_294_967_297_i64 },
    ]);
    assert_eq!(
        said("d", json!({ "tokenRequests": tokens })),
        [
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
            "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
            "spec.tokenRequests[1].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than \
             2^32 seconds",
        ]
    );
}

#[test]
fn drivers_of_a_node_come_and_go_but_do_not_change() {
    let node = |drivers: Value| object("CSINode", &json!({ "spec": { "drivers": drivers } }));
    let driver = |name: &str, id: &str| json!({ "name": name, "nodeID": id });
    let old = node(json!([driver("a", "1"), driver("b", "2")]));
    assert_eq!(refused(&NodeStrategy, &old), NOTHING);
    assert_eq!(refused_update(&NodeStrategy, &node(json!([driver("b", "2"), driver("c", "3")])), &old), NOTHING);
    let changed = refused_update(&NodeStrategy, &node(json!([driver("a", "9")])), &old);
    assert_eq!(
        changed,
        ["CSINodeDriver: Invalid value: map[string]string{\"name\":\"a\", \"nodeID\":\"9\"}: field is immutable"]
    );
    assert_eq!(
        refused(&NodeStrategy, &node(json!([driver("a", ""), driver("a", "1")]))),
        ["spec.drivers[0].nodeID: Required value", "spec.drivers[1].name: Duplicate value: \"a\""]
    );
    let topology = json!([{ "name": "a", "nodeID": "1", "topologyKeys": ["z", "z"], "allocatable": { "count": -1 } }]);
    assert_eq!(
        refused(&NodeStrategy, &node(topology)),
        [
            "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
            "spec.drivers[0]: Duplicate value: \"z\"",
        ]
    );
}

#[test]
fn a_capacity_is_for_one_class_in_one_place() {
    let capacity = object(
        "CSIStorageCapacity",
        &json!({
            "metadata": { "namespace": "shop" }, "storageClassName": "fast", "capacity": "1Gi",
            "nodeTopology": { "matchLabels": { "zone": "a" } },
        }),
    );
    assert_eq!(refused(&CapacityStrategy, &capacity), NOTHING);
    assert_eq!(
        refused(&CapacityStrategy, &with(&capacity, &[("/capacity", json!("-1"))])),
        ["capacity: Invalid value: \"-1\": must be greater than or equal to 0"]
    );
    let moved = with(&capacity, &[("/storageClassName", json!("slow")), ("/capacity", json!("2Gi"))]);
    assert_eq!(
        refused_update(&CapacityStrategy, &moved, &capacity),
        ["storageClassName: Invalid value: \"slow\": field is immutable"]
    );
}

#[test]
fn an_attachment_is_of_one_volume() {
    let spec = json!({ "attacher": "example.com", "nodeName": "n1", "source": { "persistentVolumeName": "v" } });
    let attachment = object("VolumeAttachment", &json!({ "spec": spec }));
    assert_eq!(refused(&AttachmentStrategy, &attachment), NOTHING);
    assert_eq!(said(&AttachmentStrategy.validate_create(&attachment)), NOTHING);
    let source = |source: Value| refused(&AttachmentStrategy, &with(&attachment, &[("/spec/source", source)]));
    let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    assert_eq!(source(json!({})), [format!("spec.source: Required value: {one}")]);
    let inline = json!({ "accessModes": ["ReadWriteOnce"], "csi": { "driver": "d", "volumeHandle": "h" } });
    assert_eq!(source(json!({ "inlineVolumeSpec": inline })), NOTHING);
    assert_eq!(
        source(json!({ "inlineVolumeSpec": inline, "persistentVolumeName": "v" })),
        [format!("spec.source: Forbidden: {one}")]
    );
    assert_eq!(
        source(json!({ "inlineVolumeSpec": with(&inline, &[("/storageClassName", json!("fast"))]) })),
        [
            "spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context of inline volumes"
        ]
    );
    let moved = with(&attachment, &[("/spec/nodeName", json!("n2"))]);
    let refused = refused_update(&AttachmentStrategy, &moved, &attachment);
    assert!(
        refused[0].ends_with("field is immutable") && refused[0].starts_with("spec: Invalid value: "),
        "{refused:?}"
    );
    let failed =
        with(&attachment, &[("/status", json!({ "attached": false, "attachError": { "message": "x".repeat(1025) } }))]);
    assert_eq!(
        said(&AttachmentStrategy.validate_status_update(&failed, &attachment)),
        ["status.attachError.message: Too long: may not be more than 1024 bytes"]
    );
}
