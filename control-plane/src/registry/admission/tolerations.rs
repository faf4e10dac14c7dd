//! How long pods bear that their node is away.

use async_trait::async_trait;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::{Operation, Plugin, Review};

/// Seconds a pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: i64 = 300;

/// Upstream's `DefaultTolerationSeconds`.
pub(super) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if review.is_about("pods") && review.operation != Operation::Delete && pod["spec"].is_object() {
            add_tolerations(&mut pod["spec"]);
        }
        Ok(())
    }
}

/// Pods stay for some minutes on nodes that are away, unless they say otherwise.
fn add_tolerations(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let own = spec["tolerations"].as_array().into_iter().flatten();
        let tolerates = |toleration: &Value| {
            let own_key = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (own_key == key || own_key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        };
        if own.into_iter().any(tolerates) {
            continue;
        }
        let toleration = json!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS,
        });
        match spec["tolerations"].as_array_mut() {
            Some(tolerations) => tolerations.push(toleration),
            None => spec["tolerations"] = json!([toleration]),
        }
    }
}
