//! What is given, and what is refused.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PodSpec, VolumeMount};
use serde_json::{Value, json};

use super::{check, check_mount, security};
use crate::pods::{
    fixtures::{container, with},
    paths::Paths,
    runtime::{AppArmor, Seccomp, Security, fake},
};

fn checked(fields: Value) -> Result<(), String> {
    let spec: PodSpec =
        serde_json::from_value(with(json!({ "containers": [container("app")] }), fields)).expect("a pod");
    check(&spec)
}

fn given(pod: Value, container: Value) -> Result<Security, String> {
    let (pod, container) = (serde_json::from_value(pod).ok(), serde_json::from_value(container).ok());
    let paths = Paths::new(Path::new("/state")).pod("u");
    security(pod.as_ref(), container.as_ref(), &fake::image("i"), &paths).map_err(|failure| failure.message)
}

#[test]
fn a_protection_of_the_pod_that_this_node_lacks_is_refused_and_not_left_out() {
    let port = json!([with(container("app"), json!({ "ports": [{ "containerPort": 80, "hostPort": 8080 }] }))]);
    for (fields, reason) in [
        (json!({ "runtimeClassName": "kata" }), "no runtime for \"kata\" is configured"),
        (json!({ "hostUsers": false }), "can't set spec.hostUsers: false, runtime does not support user namespaces"),
        (
            json!({ "securityContext": { "supplementalGroupsPolicy": "Strict" } }),
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        ),
        (json!({ "os": { "name": "windows" } }), "the OS field doesn't match node OS"),
        (
            json!({ "resources": { "limits": { "memory": "1Gi" } } }),
            "spec.resources: pod level resources are not supported on this node",
        ),
        (
            json!({ "resourceClaims": [{ "name": "gpu" }] }),
            "spec.resourceClaims: dynamic resource allocation is not supported on this node",
        ),
        (json!({ "containers": port }), "hostPort 8080 of container \"app\" is not supported on this node"),
        (json!({ "initContainers": port }), "hostPort 8080 of container \"app\" is not supported on this node"),
    ] {
        assert_eq!(checked(fields.clone()), Err(reason.to_owned()), "{fields}");
    }
    for fields in [
        json!({}),
        json!({ "hostUsers": true, "runtimeClassName": "", "os": { "name": "linux" } }),
        json!({ "securityContext": { "supplementalGroupsPolicy": "Merge" } }),
        // There it is the container's own.
        json!({ "hostNetwork": true, "containers": port }),
    ] {
        assert_eq!(checked(fields.clone()), Ok(()), "{fields}");
    }
}

#[test]
fn mounts_below_one_that_must_be_read_only_cannot_be_closed() {
    let of = |mode: &str| {
        let mount = json!({ "name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": mode });
        check_mount(&serde_json::from_value::<VolumeMount>(mount).expect("a mount")).map_err(|failure| failure.message)
    };
    assert!(
        of("Enabled").is_err_and(|why| why.starts_with("failed to resolve recursive read-only mode: volume \"v\""))
    );
    assert_eq!((of("IfPossible"), of("Disabled")), (Ok(()), Ok(())));
}

#[test]
fn profiles_and_labels_are_the_containers_then_the_pods() {
    let of_pod = json!({
        "seccompProfile": { "type": "Localhost", "localhostProfile": "profiles/a.json" },
        "appArmorProfile": { "type": "Localhost", "localhostProfile": "mine" },
        "seLinuxOptions": { "type": "svirt_t", "level": "s0:c1" },
    });
    let all = given(of_pod.clone(), json!({})).expect("rights");
    assert_eq!(all.seccomp, Seccomp::Localhost(PathBuf::from("/state/seccomp/profiles/a.json")));
    assert_eq!(all.app_armor, AppArmor::Localhost("mine".to_owned()));
    assert_eq!(all.se_linux, ["type:svirt_t", "level:s0:c1"]);
    let of_container = json!({
        "seccompProfile": { "type": "RuntimeDefault" },
        "appArmorProfile": { "type": "Unconfined" },
        "seLinuxOptions": { "user": "u" },
    });
    let all = given(of_pod, of_container).expect("rights");
    assert_eq!((all.seccomp, all.app_armor), (Seccomp::Default, AppArmor::Unconfined));
    assert_eq!(all.se_linux, ["user:u"]);
    let none = given(json!({}), json!({})).expect("rights");
    assert_eq!((none.seccomp, none.app_armor, none.se_linux.len()), (Seccomp::Unconfined, AppArmor::Unasked, 0));
}

#[test]
fn profiles_that_are_none_are_refused() {
    for fields in [
        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "../a" } }),
        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "/a" } }),
        json!({ "seccompProfile": { "type": "Localhost" } }),
        json!({ "seccompProfile": { "type": "Other" } }),
        json!({ "appArmorProfile": { "type": "Localhost", "localhostProfile": " " } }),
        json!({ "appArmorProfile": { "type": "Other" } }),
        json!({ "procMount": "Unmasked" }),
    ] {
        assert!(given(json!({}), fields.clone()).is_err(), "{fields}");
    }
}
