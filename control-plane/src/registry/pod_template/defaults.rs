//! What a pod gets when the client left it out (upstream `core/v1/defaults.go`).

use serde_json::{Value, json};

use crate::registry::fields::{each, fill, fill_number, is_unset, object_mut};

/// `rw-r--r--`, as JSON has no octal numbers.
const FILE_MODE: i64 = 0o644;
const TOKEN_SECONDS: i64 = 3600;
const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Fills a `PodSpec`, of a pod or of a template. Idempotent.
pub(in crate::registry) fn fill_spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        fill(spec, field, value);
    }
    agree_on_account(spec);
    for list in CONTAINER_LISTS {
        for container in each(spec, list) {
            fill_container(container);
        }
    }
    for volume in each(spec, "volumes") {
        fill_volume(volume);
    }
}

/// Fills what only pods get, not templates.
pub(in crate::registry) fn fill_pod_only(spec: &mut Value) {
    fill(spec, "enableServiceLinks", true);
    let shares_host_network = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers"] {
        for container in each(spec, list) {
            request_what_is_limited(container);
            if shares_host_network {
                for port in each(container, "ports") {
                    let number = port["containerPort"].as_i64().unwrap_or(0);
                    fill_number(port, "hostPort", number);
                }
            }
        }
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`.
fn agree_on_account(spec: &mut Value) {
    let text = |spec: &Value, field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let (name, old_name) = (text(spec, "serviceAccountName"), text(spec, "serviceAccount"));
    if name.is_empty() && !old_name.is_empty() {
        spec["serviceAccountName"] = old_name.into();
    } else if !name.is_empty() {
        spec["serviceAccount"] = name.into();
    }
}

fn fill_container(container: &mut Value) {
    let policy = if is_latest(container["image"].as_str().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
    for port in each(container, "ports") {
        fill(port, "protocol", "TCP");
    }
    for variable in each(container, "env") {
        if let Some(source) = object_mut(variable, "valueFrom") {
            fill_field_reference(source);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object_mut(container, probe) {
            fill_probe(probe);
        }
    }
    if let Some(lifecycle) = object_mut(container, "lifecycle") {
        for handler in ["postStart", "preStop"] {
            if let Some(handler) = object_mut(lifecycle, handler) {
                fill_http_get(handler);
            }
        }
    }
}

fn fill_probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        fill_number(probe, field, value);
    }
    fill_http_get(probe);
    if let Some(grpc) = object_mut(probe, "grpc")
        && grpc.get("service").is_none()
    {
        grpc["service"] = "".into();
    }
}

fn fill_http_get(handler: &mut Value) {
    if let Some(http) = object_mut(handler, "httpGet") {
        fill(http, "path", "/");
        fill(http, "scheme", "HTTP");
    }
}

fn fill_field_reference(parent: &mut Value) {
    if let Some(reference) = object_mut(parent, "fieldRef") {
        fill(reference, "apiVersion", "v1");
    }
}

fn request_what_is_limited(container: &mut Value) {
    let Some(resources) = object_mut(container, "resources") else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    fill(resources, "requests", json!({}));
    for (name, limit) in limits {
        fill(&mut resources["requests"], &name, limit);
    }
}

fn fill_volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|volume| !volume.keys().any(|key| key != "name")) {
        volume["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object_mut(volume, source) {
            fill(source, "defaultMode", FILE_MODE);
        }
    }
    fill_downward_items(volume);
    if let Some(projected) = object_mut(volume, "projected") {
        for source in each(projected, "sources") {
            if let Some(token) = object_mut(source, "serviceAccountToken") {
                fill(token, "expirationSeconds", TOKEN_SECONDS);
            }
            fill_downward_items(source);
        }
    }
    if let Some(path) = object_mut(volume, "hostPath")
        && path.get("type").is_none()
    {
        path["type"] = "".into();
    }
    if let Some(image) = object_mut(volume, "image")
        && is_unset(image.get("pullPolicy"))
    {
        let latest = is_latest(image["reference"].as_str().unwrap_or_default());
        image["pullPolicy"] = if latest { "Always" } else { "IfNotPresent" }.into();
    }
}

fn fill_downward_items(parent: &mut Value) {
    if let Some(source) = object_mut(parent, "downwardAPI") {
        for item in each(source, "items") {
            fill_field_reference(item);
        }
    }
}

/// Whether an image reference means the newest image: tag `latest`, or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && !name.is_empty(),
    }
}
