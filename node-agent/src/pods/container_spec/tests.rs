//! From a definition to what the runtime is told.

use std::path::Path;

use serde_json::{Value, json};

use super::{Built, Circumstances, build};
use crate::pods::{
    env::Environment,
    fixtures::{self, NODE, container, with},
    message::Failure,
    paths::{Paths, PodPaths},
    pod::PodExt,
    runtime::{ContainerSpec, Image, Propagation, Seccomp, fake},
};

fn paths() -> PodPaths {
    Paths::new(Path::new("/state")).pod("u")
}

fn all_built_on(image: &Image, spec: Value) -> Result<Built, Failure> {
    let pod = fixtures::pod(spec);
    let environment = Environment {
        variables: vec![("NAME".to_owned(), "value".to_owned()), ("DIR".to_owned(), "sub".to_owned())],
        invalid: Vec::new(),
    };
    let with = Circumstances { attempt: 2, image, environment: &environment, paths: &paths(), node: NODE };
    build(&pod, &PodExt::spec(&pod).containers[0], with)
}

fn built_on(image: &Image, spec: Value) -> Result<ContainerSpec, Failure> {
    all_built_on(image, spec).map(|built| built.spec)
}

fn built(spec: Value) -> Result<ContainerSpec, Failure> {
    built_on(&fake::image("i"), spec)
}

fn app(fields: Value) -> Value {
    json!({ "containers": [with(container("app"), fields)] })
}

fn refused(spec: Value) -> String {
    let failure = built(spec).expect_err("a refusal");
    assert_eq!(failure.reason, "CreateContainerConfigError");
    failure.message
}

#[test]
fn words_are_expanded_and_the_rest_is_taken_over() {
    let spec = built(app(json!({
        "command": ["run", "$(NAME)", "$$(NAME)", "$(OTHER)"], "args": ["$(DIR)/x"], "workingDir": "/w",
        "stdin": true, "tty": true,
    })))
    .expect("a specification");
    assert_eq!(spec.command, ["run", "value", "$(NAME)", "$(OTHER)"]);
    assert_eq!(spec.args, ["sub/x"]);
    assert_eq!((spec.working_dir.as_str(), spec.attempt, spec.stdin, spec.tty), ("/w", 2, true, true));
    assert_eq!(spec.env[0], ("NAME".to_owned(), "value".to_owned()));
    assert!(!spec.hash.is_empty());
}

#[test]
fn every_container_gets_the_files_of_its_pod() {
    let mounts = built(app(json!({}))).expect("a specification").mounts;
    let pairs: Vec<(&str, &str)> = mounts.iter().map(|mount| (mount.source.as_str(), mount.target.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("/state/pods/u/containers/app/2", "/dev/termination-log"),
            ("/state/pods/u/etc-hosts", "/etc/hosts"),
            ("/state/pods/u/resolv.conf", "/etc/resolv.conf"),
        ]
    );
}

#[test]
fn volumes_are_mounted_where_they_lie() {
    let mut spec = app(json!({ "volumeMounts": [
        { "name": "scratch", "mountPath": "/scratch", "subPath": "a/b" },
        { "name": "scratch", "mountPath": "relative", "subPathExpr": "$(DIR)" },
        { "name": "node", "mountPath": "/node", "readOnly": true, "mountPropagation": "HostToContainer" },
        { "name": "config", "mountPath": "/etc/hosts" },
    ] }));
    spec["volumes"] = json!([
        { "name": "scratch", "emptyDir": {} },
        { "name": "node", "hostPath": { "path": "/srv" } },
        { "name": "config", "configMap": { "name": "c" } },
    ]);
    let Built { spec, sub_paths } = all_built_on(&fake::image("i"), spec).expect("a specification");
    let mounts = spec.mounts;
    let parts: Vec<_> = sub_paths.iter().map(|part| (part.relative.as_path(), part.place.to_string_lossy())).collect();
    let places = "/state/pods/u/volume-subpaths/scratch/app";
    let expected = [(Path::new("a/b"), format!("{places}/0").into()), (Path::new("sub"), format!("{places}/1").into())];
    assert_eq!(parts, expected, "no container can change them");
    assert!(sub_paths[0].root.ends_with("volumes/kubernetes.io~empty-dir/scratch"));
    assert_eq!((mounts[0].source.as_str(), mounts[1].source.as_str()), (&*parts[0].1, &*parts[1].1));
    assert_eq!(mounts[1].target, "/relative");
    assert_eq!((mounts[2].source.as_str(), mounts[2].read_only), ("/srv", true));
    assert_eq!(mounts[2].propagation, Propagation::HostToContainer);
    assert!(mounts[3].read_only, "what is projected is never written to");
    let hosts = mounts.iter().filter(|mount| mount.target == "/etc/hosts").count();
    assert_eq!(hosts, 1, "a container's own /etc/hosts wins");
}

#[test]
fn mounts_that_lead_out_are_refused() {
    let of = |fields: Value| {
        let mount = with(json!({ "name": "scratch", "mountPath": "/x" }), fields);
        let mut spec = app(json!({ "volumeMounts": [mount] }));
        spec["volumes"] = json!([{ "name": "scratch", "emptyDir": {} }]);
        refused(spec)
    };
    assert_eq!(of(json!({ "subPath": "../x" })), "invalid subPath \"../x\" in volume mount \"scratch\"");
    assert_eq!(of(json!({ "subPath": "/x" })), "invalid subPath \"/x\" in volume mount \"scratch\"");
    assert_eq!(of(json!({ "subPathExpr": "$(GONE)" })), "missing value for \"$(GONE)\" in volume mount \"scratch\"");
    assert_eq!(of(json!({ "name": "other" })), "volume \"other\" not found");
}

#[test]
fn security_comes_from_the_container_then_from_the_pod() {
    let mut spec = app(json!({ "securityContext": {
        "runAsUser": 7, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": { "add": ["NET_ADMIN"], "drop": ["ALL"] },
        "seccompProfile": { "type": "RuntimeDefault" },
    } }));
    spec["securityContext"] = json!({ "runAsUser": 1, "runAsGroup": 8, "fsGroup": 9, "supplementalGroups": [10] });
    let security = built(spec).expect("a specification").security;
    assert_eq!(security.user, "7:8");
    assert_eq!(security.groups, ["10", "9"]);
    assert_eq!((security.add, security.drop), (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()]));
    assert!(security.read_only_root && security.no_new_privileges && security.seccomp == Seccomp::Default);
    let plain = built(app(json!({}))).expect("a specification").security;
    assert!(plain.user.is_empty() && plain.seccomp == Seccomp::Unconfined && !plain.privileged);
}

#[test]
fn containers_that_must_not_be_root_are_not() {
    let of = |user: &str, fields: Value| {
        let image = Image { user: user.to_owned(), ..fake::image("i") };
        let context = with(json!({ "runAsNonRoot": true }), fields);
        built_on(&image, app(json!({ "securityContext": context }))).map(|spec| spec.security.user)
    };
    let root = "container has runAsNonRoot and image will run as root";
    for user in ["", "0", "root", "0:5"] {
        assert_eq!(of(user, json!({})).expect_err("root").message, root, "{user:?}");
    }
    assert_eq!(
        of("app", json!({})).expect_err("a name").message,
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"
    );
    assert_eq!(of("5", json!({})).expect("a user"), "");
    assert_eq!(of("root", json!({ "runAsUser": 6 })).expect("a user"), "6");
    let zero = of("5", json!({ "runAsUser": 0 })).expect_err("root");
    assert_eq!(zero.message, "container's runAsUser breaks non-root policy");
}
