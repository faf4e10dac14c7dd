//! What a user may rely on, one sentence per scenario.

mod access;
mod api;
mod applying;
mod clients;
mod dns;
mod everyday;
mod kubectl;
mod objects;
mod pods;
mod policies;
mod probes;
mod resilience;
mod routes;
mod services;
mod volumes;
mod workloads;

use anyhow::Result;
use nodeplane_tests::bed::cluster::Cluster;
use serde_json::Value;

use crate::stage::Scenario;

/// Every scenario, in the order of the road: API, workloads, pods, services, names, faults.
pub(crate) fn all() -> Vec<Scenario> {
    [
        api::SCENARIOS,
        access::SCENARIOS,
        objects::SCENARIOS,
        kubectl::SCENARIOS,
        applying::SCENARIOS,
        everyday::SCENARIOS,
        clients::SCENARIOS,
        workloads::SCENARIOS,
        pods::SCENARIOS,
        policies::SCENARIOS,
        probes::SCENARIOS,
        volumes::SCENARIOS,
        services::SCENARIOS,
        routes::SCENARIOS,
        dns::SCENARIOS,
        resilience::SCENARIOS,
    ]
    .concat()
}

/// Lists the functions of a module as scenarios: those that share a cluster with others, then those
/// that want it alone.
macro_rules! scenarios {
    ($($shared:ident),* $(,)? $(; alone: $($alone:ident),+ $(,)?)?) => {
        pub(crate) const SCENARIOS: &[crate::stage::Scenario] = &[
            $(crate::stage::Scenario {
                name: concat!(module_path!(), "::", stringify!($shared)),
                play: crate::stage::Play::Shared($shared),
            },)*
            $($(crate::stage::Scenario {
                name: concat!(module_path!(), "::", stringify!($alone)),
                play: crate::stage::Play::Alone($alone),
            },)+)?
        ];
    };
}
pub(crate) use scenarios;

/// A Deployment of the sample server and a Service in front of it.
pub(crate) fn hello(replicas: u32) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: hello, labels: {{app: hello}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: hello}}}}
  template:
    metadata: {{labels: {{app: hello}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: hello
        image: nodeplane/hello:1
        ports: [{{name: http, containerPort: 8080}}]
---
apiVersion: v1
kind: Service
metadata: {{name: hello}}
spec:
  selector: {{app: hello}}
  ports: [{{name: web, port: 80, targetPort: http}}]
"
    )
}

/// A pod that runs one shell command line and is not restarted.
pub(crate) fn shell_pod(name: &str, script: &str) -> String {
    pod(name, script, |_| ())
}

/// The same, with changes to its `spec`.
pub(crate) fn pod(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "run": name } },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "main", "image": "nodeplane/hello:1", "command": ["/bin/sh", "-c", script] }],
        },
    });
    change(&mut pod["spec"]);
    pod.to_string()
}

/// The names of the pods that a selector chooses and that are not being deleted.
pub(crate) fn pod_names(cluster: &Cluster, ns: &str, selector: &str) -> Result<Vec<String>> {
    let pods = cluster.list(ns, "pods", selector)?;
    let alive = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(alive.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect())
}

/// Addresses that the Service's EndpointSlices call ready.
pub(crate) fn ready_endpoints(cluster: &Cluster, ns: &str, service: &str) -> Result<Vec<String>> {
    let slices = cluster.list(ns, "endpointslices", &format!("kubernetes.io/service-name={service}"))?;
    Ok(slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default())
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .filter_map(|endpoint| endpoint["addresses"][0].as_str().map(str::to_owned))
        .collect())
}
