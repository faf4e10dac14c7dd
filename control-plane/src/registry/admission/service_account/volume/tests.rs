use super::*;

fn mounted(mut spec: Value) -> Value {
    mount(&mut spec, || "kube-api-access-abcde".to_owned());
    spec
}

#[test]
fn every_container_finds_the_token_where_libraries_look() {
    let spec = mounted(json!({
        "initContainers": [{ "name": "i" }],
        "containers": [{ "name": "c", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        "volumes": [{ "name": "v", "emptyDir": {} }],
    }));
    let token = json!({ "name": "kube-api-access-abcde", "mountPath": PATH, "readOnly": true });
    assert_eq!(spec["initContainers"][0]["volumeMounts"], json!([token]));
    assert_eq!(spec["containers"][0]["volumeMounts"][1], token);
    let sources = &spec["volumes"][1]["projected"]["sources"];
    assert_eq!(sources[0], json!({ "serviceAccountToken": { "path": "token", "expirationSeconds": 3607 } }));
    assert_eq!(sources[1]["configMap"]["name"], "kube-root-ca.crt");
    assert_eq!(sources[2]["downwardAPI"]["items"][0]["path"], "namespace");
    assert_eq!(spec["volumes"][1]["projected"]["defaultMode"], 420);
}

#[test]
fn what_is_mounted_there_already_stays() {
    let own = json!({ "containers": [{ "name": "c", "volumeMounts": [{ "name": "own", "mountPath": PATH }] }] });
    assert_eq!(mounted(own.clone()), own);
    assert_eq!(mounted(json!({})), json!({}));
}

#[test]
fn a_volume_of_that_name_is_taken() {
    let spec = mounted(json!({
        "containers": [{ "name": "c" }], "volumes": [{ "name": "kube-api-access-mine", "emptyDir": {} }],
    }));
    assert_eq!(spec["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], "kube-api-access-mine");
}

#[test]
fn the_pod_has_its_say_before_the_account() {
    let says = |said: Value| json!({ "automountServiceAccountToken": said });
    let (yes, no, nothing) = (says(true.into()), says(false.into()), json!({}));
    for (pod, account, wanted) in [
        (&nothing, &nothing, true),
        (&nothing, &no, false),
        (&nothing, &yes, true),
        (&yes, &no, true),
        (&no, &yes, false),
    ] {
        assert_eq!(is_wanted(pod, account), wanted, "{pod} {account}");
    }
}
