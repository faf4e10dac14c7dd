//! The pods of the bench: about 1 KB on the wire, like those that a Deployment makes.
//!
//! They ask for a scheduler that does not exist. What is measured is the API server; upstream's scheduler writes 50
//! times a second at most and ours as often as it can, so that it would be measured along.

use bytes::Bytes;
use serde_json::json;

/// Where the pods are.
pub(crate) const NAMESPACE: &str = "bench";

/// One pod in a hundred has this label.
pub(crate) const SELECTED: &str = "bench.example.com/pick=few";

/// The path of the collection.
pub(crate) fn collection() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

/// The name of a pod.
pub(crate) fn name(index: u32) -> String {
    format!("web-5d78c9869d-{index:06}")
}

/// The path of a pod.
pub(crate) fn path(index: u32) -> String {
    format!("{}/{}", collection(), name(index))
}

/// The body that creates a pod.
pub(crate) fn body(index: u32) -> Bytes {
    let pick = if index.is_multiple_of(100) { "few" } else { "most" };
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(index),
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/name": "web",
                "app.kubernetes.io/instance": format!("web-{}", index % 50),
                "bench.example.com/pick": pick,
                "pod-template-hash": "5d78c9869d",
            },
            "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "8080" },
        },
        "spec": {
            "schedulerName": "nobody",
            "containers": [{
                "name": "web",
                "image": "registry.example.com/team/web:1.27.3",
                "args": ["--listen=:8080", "--log-level=info"],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "env": [
                    { "name": "GOMAXPROCS", "value": "2" },
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    { "name": "DATABASE_URL", "value": "postgres://db.default.svc.cluster.local:5432/web" },
                ],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" },
                    "limits": { "cpu": "500m", "memory": "256Mi" },
                },
                "readinessProbe": { "httpGet": { "path": "/healthz", "port": "http" }, "periodSeconds": 5 },
                "livenessProbe": { "httpGet": { "path": "/livez", "port": "http" }, "initialDelaySeconds": 10 },
            }],
        },
    });
    pod.to_string().into()
}

/// A strategic merge patch, another one each time.
pub(crate) fn patch(count: u32) -> Bytes {
    json!({
        "metadata": { "annotations": { "bench.example.com/count": count.to_string() } },
        "spec": { "containers": [{ "name": "web", "image": format!("registry.example.com/team/web:1.27.{}", count % 9) }] },
    })
    .to_string()
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_about_a_kilobyte() {
        assert!((900..1200).contains(&body(4711).len()), "{}", body(4711).len());
    }
}
