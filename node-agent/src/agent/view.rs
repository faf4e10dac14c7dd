//! What can be seen of the agent from outside.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Agent;
use crate::{
    dataplane::dump,
    net::names,
    node::object,
    pods::LogError,
    server::{
        View,
        logs::{LogStream, LogWish},
        metrics::Metrics,
    },
    services::{Progress, ServicePlane},
};

/// Bytes of a page of memory.
const PAGE: u64 = 4096;

#[async_trait]
impl View for Agent {
    fn pods(&self) -> Vec<Arc<Pod>> {
        self.sources.pods.list()
    }

    fn complaint(&self) -> Option<String> {
        self.health.watch().borrow().complaint()
    }

    fn metrics(&self) -> Metrics {
        Metrics {
            ready: self.complaint().is_none(),
            pods: self.sources.pods.with(std::collections::HashMap::len),
            addresses: self.network.get().map_or(0, |network| network.in_use().len()),
            services: self.progress(),
            verdicts: self.plane.get().and_then(|plane| plane.verdicts().ok()).unwrap_or_default(),
            memory: resident(),
        }
    }

    async fn dump(&self) -> Value {
        let plane = match self.plane.get().cloned() {
            Some(plane) => spawn_blocking(move || kernel(&plane)).await.ok(),
            None => None,
        };
        let network = self.network.get().map(|network| {
            json!({
                "range": network.range().to_string(),
                "gateway": network.gateway(),
                "addresses": network.in_use(),
            })
        });
        let progress = self.progress();
        json!({
            "node": self.identity.name,
            "version": object::VERSION,
            "complaint": self.complaint(),
            "dataplane": plane,
            "feed": {
                "syncs": progress.syncs,
                "failures": progress.failures,
                "error": progress.error,
                "leftOut": progress.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "lastMicroseconds": progress.last.map(|last| u64::try_from(last.took.as_micros()).unwrap_or(u64::MAX)),
            },
            "network": network,
            "pods": self.sources.pods.list().iter().map(|pod| pod_of(pod)).collect::<Vec<_>>(),
        })
    }

    async fn logs(&self, wish: LogWish) -> Result<LogStream, LogError> {
        let Some(pods) = self.pods.get() else {
            return Err(LogError { code: 503, message: "the node's agent has not taken its pods over yet".to_owned() });
        };
        let LogWish { namespace, pod, container, request } = wish;
        pods.logs(&namespace, &pod, &container, request).await
    }
}

impl Agent {
    fn progress(&self) -> Progress {
        self.feed.get().map(|feed| feed.progress()).unwrap_or_default()
    }
}

/// What the maps hold. Blocks for as long as it takes to read them.
fn kernel(plane: &ServicePlane) -> Value {
    json!({
        "services": told(plane.dump().map(|image| dump::services(&image))),
        "endpoints": told(plane.endpoints().map(|endpoints| dump::endpoints(&endpoints))),
        "verdicts": told(plane.verdicts().map(|verdicts| json!(verdicts))),
    })
}

/// A pod, and what its link is called if it has one.
fn pod_of(pod: &Pod) -> Value {
    let meta = &pod.metadata;
    json!({
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "link": meta.uid.as_deref().map(names::link),
    })
}

/// A part of the state, or why it cannot be read.
fn told(part: crate::dataplane::Result<Value>) -> Value {
    part.unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

/// Bytes of memory that this process takes: the second field of `/proc/self/statm`.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE
}
