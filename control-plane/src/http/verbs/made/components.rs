//! Whether the parts of the control plane do their work: `ComponentStatus`.
//!
//! In: what this process runs, who leads, and the store. Out: one object for each of the three
//! parts that clients know. Deprecated upstream, and read by people all the same.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use nodeplane_api::{kinds::Verb, meta, status::Status};
use serde_json::{Value, json};

use crate::{
    controllers::LEADER,
    http::{
        reply::Reply,
        verbs::{answer, ask::Ask, list::Page, selection::Selection},
    },
    registry::objects::known,
    store::{
        object::{Object, encode},
        watch_cache::Freshness,
    },
};

/// How long the store may take to say that it is well.
const STORE_WITHIN: Duration = Duration::from_secs(2);
const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// Answers with one or all.
///
/// # Errors
/// 404 for a component that there is not, 400 for a bad selector.
pub(super) async fn read(ask: &Ask<'_>) -> Result<Reply, Status> {
    let components = components(ask).await;
    let reply = match ask.permit.request().verb {
        Verb::Get => {
            let found = components.iter().find(|component| meta::name(component) == ask.name());
            answer::object(ask, StatusCode::OK, found.ok_or_else(|| Status::not_found(ask.kind(), ask.name()))?)?
        }
        _ => answer::list(ask, page(ask, components)?).await?,
    };
    Ok(reply.with_warnings(&[DEPRECATED.to_owned()]))
}

/// Those that the selectors choose.
fn page(ask: &Ask<'_>, components: Vec<Value>) -> Result<Page, Status> {
    let selection = Selection::read(ask)?;
    let mut objects = Vec::new();
    for mut component in components {
        let key = format!("{}{}", selection.collection, meta::name(&component));
        let object = Object::from_bytes(key.into(), 0, &encode(&mut component)).map_err(Status::internal)?;
        if selection.matches(&object) {
            objects.push(object);
        }
    }
    Ok(Page::whole(objects))
}

async fn components(ask: &Ask<'_>) -> Vec<Value> {
    let (store, leader) = tokio::join!(ask.api.objects.check(STORE_WITHIN), leader(ask));
    let store = store.err().map(|error| error.to_string());
    [("controller-manager", &leader), ("scheduler", &leader), ("etcd-0", &store)]
        .map(|(name, failure)| component(name, failure.as_deref()))
        .into()
}

fn component(name: &str, failure: Option<&str>) -> Value {
    let healthy = match failure {
        None => json!({ "type": "Healthy", "status": "True", "message": "ok" }),
        Some(why) => json!({ "type": "Healthy", "status": "False", "message": why }),
    };
    json!({
        "apiVersion": "v1",
        "kind": "ComponentStatus",
        "metadata": { "name": name },
        "conditions": [healthy],
    })
}

/// Why nobody runs controllers and scheduler; nothing when this server or another one does.
async fn leader(ask: &Ask<'_>) -> Option<String> {
    if ask.api.moves.is_here() {
        return None;
    }
    let [namespace, name] = LEADER;
    let nobody = || Some("no server runs it".to_owned());
    let Ok(leases) = known("coordination.k8s.io", "v1", "leases") else { return nobody() };
    let Ok(lease) = ask.api.objects.cached(leases, namespace, name, Freshness::Any).await else { return nobody() };
    if holds(&lease.tree()["spec"], Timestamp::now()) { None } else { nobody() }
}

/// Whether a lease is held now.
fn holds(lease: &Value, now: Timestamp) -> bool {
    let renewed = lease["renewTime"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let lasts = SignedDuration::from_secs(lease["leaseDurationSeconds"].as_i64().unwrap_or_default());
    let is_held = lease["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty());
    is_held && renewed.and_then(|at| at.checked_add(lasts).ok()).is_some_and(|end| now < end)
}

#[cfg(test)]
mod tests;
