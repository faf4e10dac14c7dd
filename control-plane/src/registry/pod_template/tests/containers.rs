//! What is wrong with containers.

use serde_json::{Value, json};

use super::{check, check_container};

#[test]
fn a_container_needs_a_name_and_an_image() {
    let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    check(&[
        (&[("/spec/containers", json!([]))], &["spec.containers: Required value"]),
        (&[("/spec/containers/0/name", json!(""))], &["spec.containers[0].name: Required value"]),
        (&[("/spec/containers/0/image", json!(""))], &["spec.containers[0].image: Required value"]),
        (
            &[("/spec/containers/0/image", json!(" web"))],
            &["spec.containers[0].image: Invalid value: \" web\": must not have leading or trailing whitespace"],
        ),
        (
            &[("/spec/containers/0/name", json!("C_1"))],
            &[&format!("spec.containers[0].name: Invalid value: \"C_1\": {label}")],
        ),
        (
            &[("/spec/containers", json!([{ "name": "c", "image": "i" }, { "name": "c", "image": "i" }]))],
            &["spec.containers[1].name: Duplicate value: \"c\""],
        ),
        (
            &[("/spec/initContainers", json!([{ "name": "c", "image": "i" }]))],
            &["spec.initContainers[0].name: Duplicate value: \"c\""],
        ),
    ]);
    check_container(&[
        (
            "imagePullPolicy",
            json!("Sometimes"),
            &["spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
               \"IfNotPresent\", \"Never\""],
        ),
        (
            "terminationMessagePolicy",
            json!("Loud"),
            &["spec.containers[0].terminationMessagePolicy: Unsupported value: \"Loud\": supported values: \"File\", \
               \"FallbackToLogsOnError\""],
        ),
        (
            "restartPolicy",
            json!("Always"),
            &["spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"],
        ),
    ]);
}

#[test]
fn init_containers_end_unless_they_stay() {
    let probe = json!({ "exec": { "command": ["true"] } });
    let init =
        |restart: Value| json!([{ "name": "i", "image": "i", "livenessProbe": probe, "restartPolicy": restart }]);
    let why = "may not be set for init containers without restartPolicy=Always";
    check(&[
        (&[("/spec/initContainers", init(json!("Always")))], &[]),
        (
            &[("/spec/initContainers", init(Value::Null))],
            &[&format!("spec.initContainers[0].livenessProbe: Forbidden: {why}")],
        ),
        (
            &[("/spec/initContainers", json!([{ "name": "i", "image": "i", "restartPolicy": "Never" }]))],
            &["spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""],
        ),
    ]);
}

#[test]
fn ports_are_numbers_with_unique_names() {
    check_container(&[
        ("ports", json!([{ "containerPort": 0 }]), &["spec.containers[0].ports[0].containerPort: Required value"]),
        (
            "ports",
            json!([{ "containerPort": 65536, "hostPort": -1 }]),
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
                "spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            "ports",
            json!([{ "containerPort": 80, "name": "http" }, { "containerPort": 81, "name": "http" }]),
            &["spec.containers[0].ports[1].name: Duplicate value: \"http\""],
        ),
        (
            "ports",
            json!([{ "containerPort": 80, "name": "much-too-long-a-name" }]),
            &[
                "spec.containers[0].ports[0].name: Invalid value: \"much-too-long-a-name\": must be no more than 15 characters",
            ],
        ),
        (
            "ports",
            json!([{ "containerPort": 80, "protocol": "ICMP" }]),
            &[
                "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            "ports",
            json!([{ "containerPort": 80, "hostPort": 80 }, { "containerPort": 81, "hostPort": 80 }]),
            &["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\""],
        ),
    ]);
    check(&[(
        &[
            ("/spec/hostNetwork", json!(true)),
            ("/spec/containers/0/ports", json!([{ "containerPort": 80, "hostPort": 81 }])),
        ],
        &[
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        ],
    )]);
}

#[test]
fn variables_have_one_source_each() {
    let env = |value: Value| json!([value]);
    let fields = "\"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \
                  \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"";
    let amounts = "\"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \
                   \"requests.ephemeral-storage\", \"requests.memory\"";
    let field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    check_container(&[
        ("env", env(json!({ "name": "" })), &["spec.containers[0].env[0].name: Required value"]),
        (
            "env",
            env(json!({ "name": "A=B" })),
            &[
                "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only \
               of printable ASCII characters other than '='",
            ],
        ),
        (
            "env",
            env(json!({ "name": "A", "valueFrom": {} })),
            &["spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
               `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"],
        ),
        (
            "env",
            env(json!({ "name": "A", "value": "1", "valueFrom": field("metadata.name") })),
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            ],
        ),
        (
            "env",
            env(json!({ "name": "A", "valueFrom": field("status.phase") })),
            &[&format!(
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported \
                 values: {fields}"
            )],
        ),
        ("env", env(json!({ "name": "A", "valueFrom": field("metadata.labels['app']") })), &[]),
        (
            "env",
            env(json!({ "name": "A", "valueFrom": { "resourceFieldRef": { "resource": "cpu" } } })),
            &[&format!(
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"cpu\": supported \
                 values: {amounts}"
            )],
        ),
        (
            "env",
            env(json!({ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s", "key": "" } } })),
            &["spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"],
        ),
        (
            "envFrom",
            json!([{}]),
            &["spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"],
        ),
        (
            "envFrom",
            json!([{ "configMapRef": { "name": "a" }, "secretRef": {} }]),
            &[
                "spec.containers[0].envFrom[0].secretRef.name: Required value",
                "spec.containers[0].envFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        ),
    ]);
}

#[test]
fn probes_have_one_handler_and_sensible_numbers() {
    let exec = json!({ "command": ["true"] });
    check_container(&[
        (
            "livenessProbe",
            json!({}),
            &["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            "livenessProbe",
            json!({ "exec": exec, "tcpSocket": { "port": 80 } }),
            &["spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"],
        ),
        (
            "livenessProbe",
            json!({ "exec": { "command": [] } }),
            &["spec.containers[0].livenessProbe.exec.command: Required value"],
        ),
        (
            "livenessProbe",
            json!({ "exec": exec, "successThreshold": 2, "periodSeconds": -1 }),
            &[
                "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ],
        ),
        ("readinessProbe", json!({ "exec": exec, "successThreshold": 2 }), &[]),
        (
            "readinessProbe",
            json!({ "exec": exec, "terminationGracePeriodSeconds": 5 }),
            &[
                "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for \
               readinessProbes",
            ],
        ),
        (
            "startupProbe",
            json!({ "httpGet": { "port": "web_1", "scheme": "FTP", "httpHeaders": [{ "name": "a b", "value": "" }] } }),
            &[
                "spec.containers[0].startupProbe.httpGet.port: Invalid value: \"web_1\": must contain only alpha-numeric \
                 characters (a-z, 0-9), and hyphens (-)",
                "spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", \
                 \"HTTPS\"",
                "spec.containers[0].startupProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must \
                 consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is \
                 '[-A-Za-z0-9]+')",
            ],
        ),
        ("lifecycle", json!({ "preStop": { "sleep": { "seconds": 30 } } }), &[]),
        (
            "lifecycle",
            json!({ "preStop": { "sleep": { "seconds": 31 } } }),
            &["spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than \
               terminationGracePeriodSeconds (30)"],
        ),
    ]);
}

#[test]
fn amounts_fit_their_limits() {
    check_container(&[
        (
            "resources",
            json!({ "requests": { "cpu": "2" }, "limits": { "cpu": "1" } }),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            "resources",
            json!({ "limits": { "memory": "-1Gi" } }),
            &[
                "spec.containers[0].resources.limits[memory]: Invalid value: \"-1Gi\": must be greater than or equal to 0",
                "spec.containers[0].resources.requests[memory]: Invalid value: \"-1Gi\": must be greater than or equal to 0",
            ],
        ),
        (
            "resources",
            json!({ "requests": { "coffee": "1" } }),
            &[
                "spec.containers[0].resources.requests[coffee]: Invalid value: \"coffee\": must be a standard resource type \
                 or fully qualified",
                "spec.containers[0].resources.requests[coffee]: Invalid value: \"coffee\": must be a standard resource for \
                 containers",
            ],
        ),
        (
            "resources",
            json!({ "requests": { "example.com/gpu": "1" }, "limits": { "example.com/gpu": "2" } }),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2",
            ],
        ),
        (
            "resources",
            json!({ "requests": { "example.com/gpu": "1" } }),
            &[
                "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        (
            "resources",
            json!({ "limits": { "example.com/gpu": "500m" } }),
            &[
                "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer",
                "spec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"500m\": must be an integer",
            ],
        ),
    ]);
}
