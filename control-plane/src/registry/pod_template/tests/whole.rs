//! What is wrong with a pod as a whole and with its volumes.

use serde_json::{Value, json};

use super::check;

#[test]
fn volumes_have_one_source_and_mounts_name_one() {
    let volume = |source: Value| {
        let mut volume = source;
        volume["name"] = "v".into();
        ("/spec/volumes", json!([volume]))
    };
    let mode = "must be a number between 0 and 0777 (octal), both inclusive";
    check(&[
        (&[volume(json!({}))], &[]),
        (
            &[("/spec/volumes", json!([{ "name": "v" }, { "name": "v" }]))],
            &["spec.volumes[1].name: Duplicate value: \"v\""],
        ),
        (
            &[volume(json!({ "emptyDir": {}, "hostPath": { "path": "/" } }))],
            &["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (&[volume(json!({ "secret": {} }))], &["spec.volumes[0].secret.secretName: Required value"]),
        (
            &[volume(
                json!({ "configMap": { "name": "m", "defaultMode": 512, "items": [{ "key": "", "path": "../x" }] } }),
            )],
            &[
                &format!("spec.volumes[0].configMap.defaultMode: Invalid value: 512: {mode}"),
                "spec.volumes[0].configMap.items[0].key: Required value",
                "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            &[volume(json!({ "hostPath": { "path": "/a/../b", "type": "Door" } }))],
            &[
                "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                "spec.volumes[0].hostPath.type: Unsupported value: \"Door\": supported values: \"\", \"BlockDevice\", \
                 \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ],
        ),
        (
            &[volume(
                json!({ "projected": { "sources": [{ "serviceAccountToken": { "path": "t", "expirationSeconds": 60 } }] } }),
            )],
            &[
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not \
               specify a duration less than 10 minutes",
            ],
        ),
        (
            &[("/spec/containers/0/volumeMounts", json!([{ "name": "none", "mountPath": "/x" }]))],
            &["spec.containers[0].volumeMounts[0].name: Not found: \"none\""],
        ),
        (
            &[
                volume(json!({})),
                (
                    "/spec/containers/0/volumeMounts",
                    json!([
                        { "name": "v", "mountPath": "/x", "subPath": "../y" },
                        { "name": "v", "mountPath": "/x", "mountPropagation": "Bidirectional" },
                        { "name": "v", "mountPath": "" },
                    ]),
                ),
            ],
            &[
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"../y\": must not contain '..'",
                "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique",
                "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available \
                 only to privileged containers",
                "spec.containers[0].volumeMounts[2].mountPath: Required value",
            ],
        ),
    ]);
}

#[test]
fn policies_are_among_those_that_there_are() {
    check(&[
        (
            &[("/spec/restartPolicy", json!("Maybe"))],
            &[
                "spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            &[("/spec/dnsPolicy", json!("Any"))],
            &[
                "spec.dnsPolicy: Unsupported value: \"Any\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \
               \"Default\", \"None\"",
            ],
        ),
        (
            &[("/spec/dnsPolicy", json!("None"))],
            &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            &[("/spec/dnsConfig", json!({ "nameservers": ["1.1.1"], "searches": ["ok.", "A"], "options": [{}] }))],
            &[
                "spec.dnsConfig.nameservers[0]: Invalid value: \"1.1.1\": must be a valid IP address, (e.g. 10.9.8.7 or \
                 2001:db8::ffff)",
                "spec.dnsConfig.searches[1]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case \
                 alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
                 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                "spec.dnsConfig.options[0]: Required value: must not be empty",
            ],
        ),
        (
            &[("/spec/activeDeadlineSeconds", json!(0))],
            &["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            &[("/spec/securityContext", json!({ "runAsUser": -1 }))],
            &["spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
        ),
        (
            &[("/spec/shareProcessNamespace", json!(true)), ("/spec/hostPID", json!(true))],
            &[
                "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot \
               both be enabled",
            ],
        ),
        (
            &[("/spec/preemptionPolicy", json!("Always"))],
            &[
                "spec.preemptionPolicy: Unsupported value: \"Always\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ],
        ),
    ]);
}

#[test]
fn tolerations_make_sense() {
    let toleration = |value: Value| ("/spec/tolerations", json!([value]));
    check(&[
        (&[toleration(json!({ "operator": "Exists" }))], &[]),
        (
            &[toleration(json!({ "value": "v" }))],
            &[
                "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \
               \"match all values and all keys\"",
            ],
        ),
        (
            &[toleration(json!({ "key": "k", "operator": "Exists", "value": "v" }))],
            &["spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'"],
        ),
        (
            &[toleration(json!({ "key": "k", "operator": "Like" }))],
            &["spec.tolerations[0].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\""],
        ),
        (
            &[toleration(json!({ "key": "k", "effect": "Never", "tolerationSeconds": 5 }))],
            &[
                "spec.tolerations[0].effect: Invalid value: \"Never\": effect must be 'NoExecute' when `tolerationSeconds` is \
                 set",
                "spec.tolerations[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \
                 \"PreferNoSchedule\", \"NoExecute\"",
            ],
        ),
    ]);
}
