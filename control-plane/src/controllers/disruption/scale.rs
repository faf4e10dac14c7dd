//! How many pods their controller wants.
//!
//! In: who controls a pod, and the server. Out: by uid who decides about the number of pods, and
//! the number: the deployment of a replica set, or else the controller itself. One step up and
//! never further, whoever owns whom.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use nodeplane_api::{
    kinds::{self, Subresource},
    meta::{self, Key},
};
use nodeplane_client::write::{Hands, WriteError};
use serde_json::Value;

/// What was found, None when it is gone; or why it cannot be known.
type Found<T> = Result<Option<T>, String>;

/// Who decides how many pods `owner` has, by uid, and how many.
pub(super) async fn scale(
    owner: &OwnerReference,
    namespace: &str,
    hands: &Hands,
) -> Result<Found<(String, i64)>, WriteError> {
    let object = match scaled(owner, namespace, hands).await? {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(Ok(None)),
        Err(why) => return Ok(Err(why)),
    };
    let Some(above) = deployment_of(owner, &object) else {
        return Ok(Ok(Some((owner.uid.clone(), replicas(&object)))));
    };
    let deployment = scaled(&above, namespace, hands).await?;
    Ok(deployment.map(|found| found.map(|object| (above.uid.clone(), replicas(&object)))))
}

/// The object that is referred to.
async fn scaled(owner: &OwnerReference, namespace: &str, hands: &Hands) -> Result<Found<Value>, WriteError> {
    let Some(kind) = kinds::by_api_version(&owner.api_version, &owner.kind) else { return Ok(Ok(None)) };
    if !kind.has(Subresource::Scale) {
        return Ok(Err(format!("{} does not implement the scale subresource", kind.qualified_plural())));
    }
    let found = hands.get(kind, &Key::new(namespace, &owner.name)).await?;
    Ok(Ok(found.filter(|object| meta::uid(object) == owner.uid)))
}

/// The deployment that controls a replica set.
fn deployment_of(owner: &OwnerReference, object: &Value) -> Option<OwnerReference> {
    if owner.kind != "ReplicaSet" {
        return None;
    }
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let above = owners.iter().find(|owner| owner["controller"] == true && owner["kind"] == "Deployment")?;
    serde_json::from_value(above.clone()).ok()
}

fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

#[cfg(test)]
mod tests;
