//! Every kind of the table goes the same way.

use http::{Method, header};
use nodeplane_api::kinds::{KINDS, Kind};
use serde_json::{Value, json};

use super::bed::{Ask, Bed, MERGE_PATCH, TABLE, collection, rv, text};

/// A request for a certificate, as it stands in an object.
pub(super) fn signing_request(user: &str, groups: &[&str]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, user);
    for group in groups {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, *group);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    STANDARD.encode(params.serialize_request(&key).unwrap().pem().unwrap())
}

/// The least that is a valid object of the kind.
pub(super) fn minimal(kind: &Kind) -> Value {
    let containers = json!([{ "name": "c", "image": "i" }]);
    let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": containers } });
    let mut finite = template.clone();
    finite["spec"]["restartPolicy"] = "Never".into();
    let workload = json!({ "selector": { "matchLabels": { "a": "b" } }, "template": template });
    let mut object = match kind.kind {
        "Pod" => json!({ "spec": { "containers": containers } }),
        "PodTemplate" => json!({ "template": template }),
        "Service" => json!({ "spec": { "ports": [{ "port": 80 }] } }),
        "Event" if kind.group.is_empty() => json!({ "involvedObject": { "namespace": "default" } }),
        "Event" => json!({
            "regarding": { "namespace": "default" }, "eventTime": "2025-01-01T00:00:00.000000Z", "type": "Normal",
            "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r",
        }),
        "Deployment" | "ReplicaSet" | "DaemonSet" => json!({ "spec": workload }),
        "StatefulSet" => {
            json!({ "spec": { "serviceName": "s", "selector": workload["selector"], "template": template } })
        }
        "ReplicationController" => json!({ "spec": { "selector": { "a": "b" }, "template": template } }),
        "ControllerRevision" => json!({ "revision": 1, "data": {} }),
        "Job" => json!({ "spec": { "template": finite } }),
        "CronJob" => json!({ "spec": { "schedule": "0 * * * *", "jobTemplate": { "spec": { "template": finite } } } }),
        "PersistentVolume" => json!({ "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/data" },
        } }),
        "PersistentVolumeClaim" => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        } }),
        "HorizontalPodAutoscaler" => json!({ "spec": {
            "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "d" },
        } }),
        "EndpointSlice" => json!({ "addressType": "IPv4", "endpoints": [] }),
        "Ingress" => json!({ "spec": { "defaultBackend": { "service": { "name": "s", "port": { "number": 80 } } } } }),
        "IngressClass" => json!({ "spec": { "controller": "example.com/ingress" } }),
        "NetworkPolicy" => json!({ "spec": { "podSelector": {} } }),
        "PodDisruptionBudget" => json!({ "spec": { "minAvailable": 1, "selector": { "matchLabels": { "a": "b" } } } }),
        "RoleBinding" | "ClusterRoleBinding" => json!({
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
        }),
        "APIService" => json!({ "spec": {
            "group": "x", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
        } }),
        "PriorityClass" => json!({ "value": 1 }),
        "RuntimeClass" => json!({ "handler": "runc" }),
        "StorageClass" => json!({ "provisioner": "example.com/disk" }),
        "CSINode" => json!({ "spec": { "drivers": [] } }),
        "CSIStorageCapacity" => json!({ "storageClassName": "fast" }),
        "VolumeAttachment" => json!({ "spec": {
            "attacher": "disk.example.com", "nodeName": "n", "source": { "persistentVolumeName": "v" },
        } }),
        "CertificateSigningRequest" => json!({ "spec": {
            "signerName": "example.com/signer", "usages": ["client auth"], "request": signing_request("jane", &[]),
        } }),
        "CSIDriver" => json!({ "spec": {} }),
        _ => json!({}),
    };
    object["metadata"] = json!({ "name": name(kind) });
    object
}

/// The name of that object.
fn name(kind: &Kind) -> &'static str {
    // An APIService is named after what it stands for.
    if kind.kind == "APIService" { "v1.x" } else { "x" }
}

fn stored() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.is_stored())
}

#[tokio::test]
async fn each_can_be_created_read_listed_changed_watched_and_deleted() {
    let bed = Bed::start().await;
    for kind in stored() {
        let (all, one) = (collection(kind), format!("{}/{}", collection(kind), name(kind)));
        let created = bed.post(&all, minimal(kind)).await.created();
        assert_eq!((text(&created, "/kind"), text(&created, "/apiVersion")), (kind.kind, &*kind.api_version()));
        assert_eq!(text(&created, "/metadata/uid").len(), 36, "{kind:?}");
        assert!(text(&created, "/metadata/creationTimestamp").ends_with('Z'), "{kind:?}");
        assert_eq!(text(&created, "/metadata/namespace"), if kind.is_namespaced() { "default" } else { "" });
        let taken = bed.post(&all, minimal(kind)).await.failed(409, "AlreadyExists");
        assert_eq!(taken, format!("{} \"{}\" already exists", kind.qualified_plural(), name(kind)));
        assert_eq!(bed.get(&one).await.ok(), created);

        let list = bed.get(&all).await.ok();
        assert_eq!(text(&list, "/kind"), format!("{}List", kind.kind));
        assert!(list["items"].as_array().unwrap().contains(&created), "{kind:?}");
        let mut events = bed
            .watch(&format!("{all}?watch=1&resourceVersion={}&fieldSelector=metadata.name%3D{}", rv(&list), name(kind)))
            .await;

        let patch = json!({ "metadata": { "annotations": { "k": "v" } } });
        let patched = bed.patch(&one, MERGE_PATCH, patch).await.ok();
        assert!(rv(&patched) > rv(&created), "{kind:?}");
        assert_eq!(events.next().await, ("MODIFIED".to_owned(), patched.clone()));

        // Sent back as it is, it stays as it is: defaults are stable, and nothing is written.
        assert_eq!(bed.put(&one, patched.clone()).await.ok(), patched, "{kind:?}");

        let table = bed.send(Ask::new(Method::GET, &all).header(header::ACCEPT, TABLE)).await.ok();
        for row in table["rows"].as_array().unwrap() {
            assert_eq!(row["cells"].as_array().unwrap().len(), kind.columns.len(), "{kind:?}");
        }

        let deleted = bed.delete(&format!("{one}?propagationPolicy=Background")).await.ok();
        if kind.kind == "Namespace" {
            assert_eq!(text(&deleted, "/status/phase"), "Terminating");
            assert_eq!(events.next_name().await, ("MODIFIED".to_owned(), name(kind).to_owned()));
            let mut empty = deleted;
            empty["spec"]["finalizers"] = json!([]);
            bed.put(&format!("{one}/finalize"), empty).await.ok();
        }
        let (event, last) = events.next().await;
        assert_eq!((event.as_str(), text(&last, "/metadata/name")), ("DELETED", name(kind)), "{kind:?}");
        assert!(rv(&last) > rv(&patched), "{kind:?}");
        bed.get(&one).await.failed(404, "NotFound");
    }
}

#[tokio::test]
async fn each_refuses_what_it_does_not_know() {
    let bed = Bed::start().await;
    for kind in stored() {
        let mut object = minimal(kind);
        object["nonsense"] = json!({ "a": 1 });
        let path = collection(kind);
        let strict = bed.post(&format!("{path}?fieldValidation=Strict"), object.clone()).await;
        assert_eq!(
            strict.failed(400, "BadRequest"),
            format!(
                "{0} in version \"{1}\" cannot be handled as a {0}: strict decoding error: unknown field \"nonsense\"",
                kind.kind, kind.version
            )
        );
        let warned = bed.post(&path, object).await;
        assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"nonsense\\\"\""], "{kind:?}");
        assert!(warned.created().get("nonsense").is_none());
        // Another row may show the same object.
        bed.delete(&format!("{path}/{}", name(kind))).await.ok();
    }
}
