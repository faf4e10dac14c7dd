mod resources;

use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::kinds;

pub(super) const NOW: &str = "2025-06-01T12:00:00Z";

/// The cells of an object, shown as kubectl prints them.
pub(super) fn cells_of(group: &str, plural: &str, object: &Value) -> Vec<String> {
    let now = NOW.parse().expect("a time");
    let kind = kinds::by_plural(group, "v1", plural).expect("a kind");
    let show = |cell: Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    let cell = |column: &Column| {
        let whole = (column.cell)(object, now);
        assert_eq!(whole, (column.cell)(&only(object, column.reads), now), "{} reads more than it says", column.name);
        show(whole)
    };
    kind.columns.iter().map(cell).collect()
}

/// What of an object these pointers lead to. Arrays keep their length.
fn only(object: &Value, pointers: &[&str]) -> Value {
    if pointers.iter().any(|pointer| pointer.is_empty()) {
        return object.clone();
    }
    let below = |segment: &str| -> Option<Vec<&str>> {
        let rest: Vec<&str> = pointers
            .iter()
            .filter_map(|pointer| pointer.strip_prefix('/')?.strip_prefix(segment))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .collect();
        (!rest.is_empty()).then_some(rest)
    };
    match object {
        Value::Object(map) => {
            let kept = map.iter().filter_map(|(key, value)| Some((key.clone(), only(value, &below(key)?))));
            Value::Object(kept.collect())
        }
        // A pointer that ends here asks only how many there are.
        Value::Array(items) => {
            let rest = below("*").unwrap_or_default();
            let rest: Vec<&str> = rest.into_iter().filter(|rest| !rest.is_empty()).collect();
            items.iter().map(|item| if rest.is_empty() { Value::Null } else { only(item, &rest) }).collect()
        }
        scalar => scalar.clone(),
    }
}

/// The headings of a kind; those of `-o wide` in parentheses.
pub(super) fn headings(kind: &str) -> String {
    let heading = |column: &Column| match column.priority {
        0 => column.name.to_owned(),
        _ => format!("({})", column.name),
    };
    let kind = kinds::KINDS.iter().find(|row| row.kind == kind).expect("a kind");
    kind.columns.iter().map(heading).collect::<Vec<_>>().join(" | ")
}

pub(super) fn check(group: &str, plural: &str, object: &Value, expected: &[&str]) {
    assert_eq!(cells_of(group, plural, object), expected, "{plural}");
}

#[test]
fn every_kind_has_the_headings_of_upstream() {
    let workload = "Age | (Containers) | (Images) | (Selector)";
    for (kind, expected) in [
        ("Namespace", "Name | Status | Age"),
        (
            "Node",
            "Name | Status | Roles | Age | Version | (Internal-IP) | (External-IP) | (OS-Image) | (Kernel-Version) | \
             (Container-Runtime)",
        ),
        ("Pod", "Name | Ready | Status | Restarts | Age | (IP) | (Node) | (Nominated Node) | (Readiness Gates)"),
        ("Service", "Name | Type | Cluster-IP | External-IP | Port(s) | Age | (Selector)"),
        ("Endpoints", "Name | Endpoints | Age"),
        ("EndpointSlice", "Name | AddressType | Ports | Endpoints | Age"),
        ("ConfigMap", "Name | Data | Age"),
        ("Secret", "Name | Type | Data | Age"),
        ("ServiceAccount", "Name | Secrets | Age"),
        (
            "Event",
            "Last Seen | Type | Reason | Object | (Subobject) | (Source) | Message | (First Seen) | (Count) | (Name)",
        ),
        ("HorizontalPodAutoscaler", "Name | Reference | Targets | MinPods | MaxPods | Replicas | Age"),
        ("Lease", "Name | Holder | Age"),
        ("Deployment", &format!("Name | Ready | Up-to-date | Available | {workload}")),
        ("ReplicaSet", &format!("Name | Desired | Current | Ready | {workload}")),
        ("Ingress", "Name | Class | Hosts | Address | Ports | Age"),
        ("IngressClass", "Name | Controller | Parameters | Age"),
        ("NetworkPolicy", "Name | Pod-Selector | Age"),
        ("PodDisruptionBudget", "Name | Min Available | Max Unavailable | Allowed Disruptions | Age"),
        ("Role", "Name | Created At"),
        ("ClusterRole", "Name | Created At"),
        ("RoleBinding", "Name | Role | Age | (Users) | (Groups) | (ServiceAccounts)"),
        ("ClusterRoleBinding", "Name | Role | Age | (Users) | (Groups) | (ServiceAccounts)"),
        ("PriorityClass", "Name | Value | Global-Default | Age | PreemptionPolicy"),
        ("RuntimeClass", "Name | Handler | Age"),
        ("LimitRange", "Name | Created At"),
        ("ResourceQuota", "Name | Request | Limit | Age"),
        (
            "PersistentVolume",
            "Name | Capacity | Access Modes | Reclaim Policy | Status | Claim | StorageClass | VolumeAttributesClass | \
             Reason | Age | (VolumeMode)",
        ),
        (
            "PersistentVolumeClaim",
            "Name | Status | Volume | Capacity | Access Modes | StorageClass | VolumeAttributesClass | Age | (VolumeMode)",
        ),
        ("StorageClass", "Name | Provisioner | ReclaimPolicy | VolumeBindingMode | AllowVolumeExpansion | Age"),
        (
            "CSIDriver",
            "Name | AttachRequired | PodInfoOnMount | StorageCapacity | TokenRequests | RequiresRepublish | Modes | Age",
        ),
        ("CSINode", "Name | Drivers | Age"),
        ("CSIStorageCapacity", "Name | StorageClassName | Capacity"),
        ("VolumeAttachment", "Name | Attacher | PV | Node | Attached | Age"),
    ] {
        assert_eq!(headings(kind), expected);
    }
}

#[test]
fn one_column_of_each_kind_holds_the_name() {
    for kind in kinds::KINDS.iter().filter(|kind| !kind.columns.is_empty()) {
        let names: Vec<&Column> = kind.columns.iter().filter(|column| column.format == "name").collect();
        assert_eq!(names.len(), 1, "{kind:?}");
        let object = json!({ "metadata": { "name": "me" } });
        assert_eq!((names[0].cell)(&object, NOW.parse().expect("a time")), "me", "{kind:?}");
    }
}

#[test]
fn an_object_with_nothing_in_it_has_all_its_cells() {
    for kind in kinds::KINDS {
        assert_eq!(cells_of(kind.group, kind.plural, &json!({})).len(), kind.columns.len());
    }
    check("", "namespaces", &json!({}), &["", "", "<unknown>"]);
    check("", "services", &json!({}), &["", "", "<none>", "<unknown>", "<none>", "<unknown>", "<none>"]);
    check("discovery.k8s.io", "endpointslices", &json!({}), &["", "", "<unset>", "<unset>", "<unknown>"]);
}

/// An autoscaler's cell about some metrics, as wanted and as found.
fn targets(wanted: &Value, found: &Value) -> String {
    let autoscaler = json!({ "spec": { "metrics": wanted }, "status": { "currentMetrics": found } });
    cells_of("autoscaling", "horizontalpodautoscalers", &autoscaler).swap_remove(2)
}

#[test]
fn an_autoscaler_shows_what_it_measures() {
    let autoscaler = json!({
        "metadata": { "name": "a" },
        "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "d" }, "minReplicas": 1, "maxReplicas": 5 },
        "status": { "currentReplicas": 2 },
    });
    let row = ["a", "Deployment/d", "<none>", "1", "5", "2", "<unknown>"];
    check("autoscaling", "horizontalpodautoscalers", &autoscaler, &row);
    let metric = |kind: &str, field: &str, more: Value| json!({ "type": kind, field: more });
    let resource = |amounts: Value| metric("Resource", "resource", amounts);
    let cpu = resource(json!({ "name": "cpu", "target": { "averageUtilization": 80 } }));
    let memory = resource(json!({ "name": "memory", "target": { "averageValue": "100Mi" } }));
    let pods = metric("Pods", "pods", json!({ "target": { "averageValue": "10" } }));
    assert_eq!(targets(&json!([cpu]), &json!([])), "cpu: <unknown>/80%");
    let found = json!([
        resource(json!({ "name": "cpu", "current": { "averageUtilization": 7, "averageValue": "7m" } })),
        resource(json!({ "name": "memory", "current": { "averageValue": "60Mi" } })),
    ]);
    assert_eq!(targets(&json!([cpu, memory]), &found), "cpu: 7%/80%, memory: 60Mi/100Mi");
    assert_eq!(targets(&json!([cpu, memory, pods, pods]), &found), "cpu: 7%/80%, memory: 60Mi/100Mi + 2 more...");
    assert_eq!(
        targets(&json!([resource(json!({ "name": "cpu", "target": {} }))]), &json!([])),
        "cpu: <unknown>/<auto>"
    );
    assert_eq!(targets(&json!([pods]), &json!([metric("Pods", "pods", json!({ "current": {} }))])), "<nil>/10");
    for (kind, field) in [("Object", "object"), ("External", "external")] {
        let value = metric(kind, field, json!({ "target": { "value": "3" } }));
        let average = metric(kind, field, json!({ "target": { "averageValue": "4" } }));
        assert_eq!(targets(&json!([value, average]), &json!([])), "<unknown>/3, <unknown>/4 (avg)");
        let found = metric(kind, field, json!({ "current": { "value": "1", "averageValue": "2" } }));
        assert_eq!(targets(&json!([value, average]), &json!([found, found])), "1/3, 2/4 (avg)");
    }
    let container = metric("ContainerResource", "containerResource", json!({ "name": "cpu", "target": {} }));
    assert_eq!(targets(&json!([container, { "type": "Odd" }]), &json!([])), "cpu: <unknown>/<auto>, <unknown type>");
}

#[test]
fn a_version_that_is_served_here_is_local() {
    let service = |status: Value| json!({ "metadata": { "name": "v1.apps" }, "spec": {}, "status": status });
    let condition = |more: Value| {
        let mut condition = json!({ "type": "Available" });
        condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "conditions": [condition] })
    };
    for (status, expected) in [
        (json!({}), "Unknown"),
        (condition(json!({ "status": "True", "reason": "Local" })), "True"),
        (condition(json!({ "status": "False", "reason": "ServiceNotFound" })), "False (ServiceNotFound)"),
        (condition(json!({ "status": "Unknown" })), "Unknown"),
    ] {
        let row = ["v1.apps", "Local", expected, "<unknown>"];
        check("apiregistration.k8s.io", "apiservices", &service(status), &row);
    }
    let mut remote = service(json!({}));
    remote["spec"]["service"] = json!({ "namespace": "n", "name": "s" });
    check("apiregistration.k8s.io", "apiservices", &remote, &["v1.apps", "n/s", "Unknown", "<unknown>"]);
}

#[test]
fn ages_have_two_units_at_most() {
    let (minute, hour, day, year) = (60, 3600, 86_400, 365 * 86_400);
    for (seconds, expected) in [
        (-3, "<invalid>"),
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (5, "5s"),
        (119, "119s"),
        (2 * minute, "2m"),
        (2 * minute + 3, "2m3s"),
        (9 * minute + 59, "9m59s"),
        (10 * minute + 59, "10m"),
        (179 * minute + 59, "179m"),
        (3 * hour, "3h"),
        (3 * hour + 12 * minute, "3h12m"),
        (7 * hour + 59 * minute, "7h59m"),
        (8 * hour + 59 * minute, "8h"),
        (47 * hour, "47h"),
        (2 * day, "2d"),
        (5 * day + 2 * hour + 59 * minute, "5d2h"),
        (7 * day + 23 * hour, "7d23h"),
        (8 * day + 23 * hour, "8d"),
        (2 * year - 1, "729d"),
        (2 * year, "2y"),
        (2 * year + 3 * day, "2y3d"),
        (8 * year + 3 * day, "8y"),
        (30 * year, "30y"),
    ] {
        assert_eq!(age::human(SignedDuration::from_secs(seconds)), expected, "{seconds} s");
    }
    // A fraction of a second counts as none of it.
    assert_eq!(age::human(SignedDuration::from_millis(-1900)), "0s");
    assert_eq!(age::human(SignedDuration::from_millis(1900)), "1s");
}

#[test]
fn nodes_show_their_state_and_their_roles() {
    let node = json!({
        "metadata": {
            "name": "n1",
            "creationTimestamp": "2025-05-27T10:00:00Z",
            "labels": {
                "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
                "node-role.kubernetes.io/": "", "kubernetes.io/role": "edge", "other": "x",
            },
        },
        "spec": { "unschedulable": true },
        "status": {
            "conditions": [{ "type": "MemoryPressure", "status": "False" }, { "type": "Ready", "status": "True" }],
            "addresses": [
                { "type": "Hostname", "address": "n1" },
                { "type": "InternalIP", "address": "10.0.0.1" },
                { "type": "InternalIP", "address": "10.0.0.2" },
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.33.0", "osImage": "Debian", "kernelVersion": "6.1.0",
                "containerRuntimeVersion": "docker://28.0.0",
            },
        },
    });
    let state = "Ready,SchedulingDisabled";
    let all = ["n1", state, "control-plane,edge,worker", "5d2h", "v1.33.0", "10.0.0.1", "<none>"];
    let info = ["Debian", "6.1.0", "docker://28.0.0"];
    check("", "nodes", &node, &[&all[..], &info[..]].concat());

    for (status, expected) in [("False", "NotReady"), ("Unknown", "NotReady"), ("True", "Ready")] {
        let node = json!({ "status": { "conditions": [{ "type": "Ready", "status": status }] } });
        assert_eq!(cells_of("", "nodes", &node)[1], expected);
    }
    let unknown = cells_of("", "nodes", &json!({}));
    let expected =
        ["", "Unknown", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"];
    assert_eq!(unknown, expected);
}

#[test]
fn services_show_where_they_are_reached() {
    let service = json!({
        "metadata": { "name": "web", "creationTimestamp": "2025-06-01T11:59:55Z" },
        "spec": {
            "type": "NodePort", "clusterIPs": ["10.96.0.7"], "externalIPs": ["192.0.2.1", "192.0.2.2"],
            "ports": [{ "port": 80, "nodePort": 30080, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }],
            "selector": { "tier": "front", "app": "web" },
        },
    });
    let external = "192.0.2.1,192.0.2.2";
    let expected = ["web", "NodePort", "10.96.0.7", external, "80:30080/TCP,53/UDP", "5s", "app=web,tier=front"];
    check("", "services", &service, &expected);

    for (spec, status, expected) in [
        (json!({ "type": "ClusterIP" }), json!({}), "<none>"),
        (json!({ "type": "LoadBalancer" }), json!({}), "<pending>"),
        (json!({ "type": "LoadBalancer", "externalIPs": ["192.0.2.1"] }), json!({}), "192.0.2.1"),
        (
            json!({ "type": "LoadBalancer", "externalIPs": ["192.0.2.1"] }),
            json!({ "loadBalancer": { "ingress": [{ "ip": "9.9.9.9" }, { "hostname": "lb" }, { "ip": "192.0.2.9" }] } }),
            "192.0.2.9,9.9.9.9,lb,192.0.2.1",
        ),
        (json!({ "type": "ExternalName", "externalName": "example.com" }), json!({}), "example.com"),
    ] {
        let service = json!({ "spec": spec, "status": status });
        assert_eq!(cells_of("", "services", &service)[3], expected, "{service}");
    }
    let headless = json!({ "spec": { "type": "ClusterIP", "clusterIPs": ["None"] } });
    assert_eq!(cells_of("", "services", &headless)[2], "None");
}

#[test]
fn endpoints_show_three_and_count_the_rest() {
    let addresses = |ips: &[&str]| -> Value { ips.iter().map(|ip| json!({ "ip": ip })).collect() };
    for (subsets, expected) in [
        (json!([]), "<none>"),
        (json!([{ "notReadyAddresses": [{ "ip": "10.0.0.1" }], "ports": [{ "port": 80 }] }]), ""),
        (json!([{ "addresses": addresses(&["10.0.0.1"]), "ports": [{ "port": 80 }] }]), "10.0.0.1:80"),
        (json!([{ "addresses": addresses(&["10.0.0.1", "10.0.0.2"]) }]), "10.0.0.1,10.0.0.2"),
        (json!([{ "addresses": addresses(&["fd00::1"]), "ports": [{ "port": 80 }] }]), "[fd00::1]:80"),
        (
            json!([{ "addresses": addresses(&["10.0.0.1", "10.0.0.2"]), "ports": [{ "port": 80 }, { "port": 443 }] },
                   { "addresses": addresses(&["10.0.0.3", "10.0.0.4"]) }]),
            "10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 3 more...",
        ),
    ] {
        assert_eq!(cells_of("", "endpoints", &json!({ "subsets": subsets }))[1], expected, "{subsets}");
    }
}

#[test]
fn slices_show_ports_and_addresses() {
    let slice = json!({
        "metadata": { "name": "web-x", "creationTimestamp": "2025-06-01T08:48:00Z" },
        "addressType": "IPv4",
        "ports": [{ "port": 80 }, { "name": "any" }, {}, { "port": 1 }, { "port": 2 }],
        "endpoints": [{ "addresses": ["10.0.0.1", "10.0.0.2"] }, { "addresses": ["10.0.0.3"] }],
    });
    let expected = ["web-x", "IPv4", "80,any,* + 2 more...", "10.0.0.1,10.0.0.2,10.0.0.3", "3h12m"];
    check("discovery.k8s.io", "endpointslices", &slice, &expected);
}

#[test]
fn workloads_show_their_counts_and_their_pods() {
    let spec = json!({
        "replicas": 3,
        "selector": { "matchLabels": { "app": "web" }, "matchExpressions": [
            { "key": "tier", "operator": "In", "values": ["front"] }, { "key": "canary", "operator": "DoesNotExist" }] },
        "template": { "spec": { "containers": [{ "name": "a", "image": "img:1" }, { "name": "b", "image": "img:2" }] } },
    });
    let metadata = json!({ "name": "web", "creationTimestamp": "2025-06-01T11:57:57Z" });
    let wide = ["2m3s", "a,b", "img:1,img:2", "app=web,!canary,tier in (front)"];
    let status = json!({ "replicas": 4, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1 });
    let object = json!({ "metadata": metadata, "spec": spec, "status": status });
    check("apps", "deployments", &object, &[&["web", "2/3", "3", "1"][..], &wide[..]].concat());
    check("apps", "replicasets", &object, &[&["web", "3", "4", "2"][..], &wide[..]].concat());
    let fresh = json!({ "spec": { "replicas": 3, "selector": {} } });
    assert_eq!(cells_of("apps", "deployments", &fresh)[1..4], ["0/3", "0", "0"]);
    assert_eq!(cells_of("apps", "replicasets", &fresh)[7], "<none>");
}

#[test]
fn configuration_shows_how_much_there_is() {
    let meta = json!({ "name": "c", "creationTimestamp": NOW });
    let map = json!({ "metadata": meta, "data": { "a": "1", "b": "2" }, "binaryData": { "c": "AA==" } });
    check("", "configmaps", &map, &["c", "3", "0s"]);
    let secret = json!({ "metadata": meta, "type": "Opaque", "data": { "a": "MQ==" } });
    check("", "secrets", &secret, &["c", "Opaque", "1", "0s"]);
    let account = json!({ "metadata": meta, "secrets": [{ "name": "x" }] });
    check("", "serviceaccounts", &account, &["c", "1", "0s"]);
    let lease = json!({ "metadata": meta, "spec": { "holderIdentity": "n1" } });
    check("coordination.k8s.io", "leases", &lease, &["c", "n1", "0s"]);
    let namespace = json!({ "metadata": meta, "status": { "phase": "Terminating" } });
    check("", "namespaces", &namespace, &["c", "Terminating", "0s"]);
}

#[test]
fn events_show_both_generations_of_times_and_counts() {
    let counted = json!({
        "metadata": { "name": "web.1" },
        "type": "Warning", "reason": "BackOff", "message": "  back-off restarting \n",
        "involvedObject": { "kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}" },
        "source": { "component": "kubelet", "host": "n1" },
        "firstTimestamp": "2025-06-01T11:50:00Z", "lastTimestamp": "2025-06-01T11:59:30Z", "count": 7,
    });
    let (object, part) = ("pod/web", "spec.containers{c}");
    let expected =
        ["30s", "Warning", "BackOff", object, part, "kubelet, n1", "back-off restarting", "10m", "7", "web.1"];
    check("", "events", &counted, &expected);

    let series = json!({
        "involvedObject": { "kind": "Node" }, "reportingComponent": "default-scheduler",
        "eventTime": "2025-06-01T11:59:00.000000Z",
        "series": { "count": 9, "lastObservedTime": "2025-06-01T11:59:50.000000Z" },
    });
    let expected = ["10s", "", "", "node", "", "default-scheduler", "", "60s", "9", ""];
    check("", "events", &series, &expected);

    let single = json!({ "eventTime": "2025-06-01T11:59:00.000000Z" });
    let shown = cells_of("", "events", &single);
    assert_eq!([&shown[0], &shown[7], &shown[8]], ["60s", "60s", "1"]);
    assert_eq!(cells_of("", "events", &json!({}))[0], "<unknown>");
}
