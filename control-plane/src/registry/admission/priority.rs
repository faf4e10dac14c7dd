//! Every pod has a priority, and one class at most is for pods without any.

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::{
    kinds::Kind,
    meta::{self, Key},
    status::Status,
};
use serde_json::{Value, json};

use super::{Lookup, Operation, Plugin, Review, find, shown_name};
use crate::registry::{fields::is_unset, objects::known, scheduling::SYSTEM_CLASSES};

const PREEMPTS: &str = "PreemptLowerPriority";

/// Upstream's `Priority`: that of its class when a pod is new; later it stays.
pub(super) struct Priority<L>(pub(super) Arc<L>);

#[async_trait]
impl<L: Lookup> Plugin for Priority<L> {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if !review.is_about("pods") {
            return Ok(());
        }
        match (review.operation, review.old) {
            (Operation::Create, _) => self.resolve(review.kind(), pod).await,
            (Operation::Update, Some(old)) => {
                stay(pod, old);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn validate(&self, review: &Review<'_>, class: &Value) -> Result<(), Status> {
        let request = review.permit.request();
        if request.resource() != ("scheduling.k8s.io", "priorityclasses") || request.subresource.is_some() {
            return Ok(());
        }
        if review.operation == Operation::Delete {
            return match SYSTEM_CLASSES.iter().any(|(name, _)| *name == review.name) {
                true => {
                    let why = "this is a system priority class and cannot be deleted";
                    Err(Status::forbidden(review.kind(), review.name, why))
                }
                false => Ok(()),
            };
        }
        if class["globalDefault"] != true {
            return Ok(());
        }
        match self.default_class().await? {
            Some(other) if meta::name(&other) != meta::name(class) => {
                let why = format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    meta::name(&other)
                );
                Err(Status::forbidden(review.kind(), review.name, why))
            }
            _ => Ok(()),
        }
    }
}

impl<L: Lookup> Priority<L> {
    /// The class for pods without any; of several the lowest.
    async fn default_class(&self) -> Result<Option<Value>, Status> {
        let all = self.0.all(known("scheduling.k8s.io", "v1", "priorityclasses")?, "").await?;
        let defaults = all.iter().map(|class| class.tree().into_owned()).filter(|class| class["globalDefault"] == true);
        Ok(defaults.min_by_key(|class| class["value"].as_i64()))
    }

    async fn class(&self, name: &str) -> Result<Option<Value>, Status> {
        if name.is_empty() {
            return Ok(Some(self.default_class().await?.unwrap_or_else(|| json!({ "value": 0 }))));
        }
        let kind = known("scheduling.k8s.io", "v1", "priorityclasses")?;
        let found = find(&*self.0, kind, &Key::new("", name)).await?;
        // Those of the system count before they are there.
        let of_system = || SYSTEM_CLASSES.iter().find(|(known, _)| *known == name);
        Ok(match found {
            Some(found) => Some(found.tree().into_owned()),
            None => of_system().map(|(name, value)| json!({ "metadata": { "name": name }, "value": value })),
        })
    }

    async fn resolve(&self, kind: &'static Kind, pod: &mut Value) -> Result<(), Status> {
        let asked = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
        let Some(class) = self.class(&asked).await? else {
            let why = format!("no PriorityClass with name {asked} was found");
            return Err(Status::forbidden(kind, shown_name(pod), why));
        };
        let priority = class["value"].as_i64().unwrap_or(0);
        let policy = class["preemptionPolicy"].as_str().unwrap_or(PREEMPTS).to_owned();
        let (given, given_policy) = (pod["spec"]["priority"].as_i64(), pod["spec"]["preemptionPolicy"].as_str());
        let wrong = match (given, given_policy) {
            (Some(given), _) if given != priority => Some(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
                 computed {priority} from the given PriorityClass name"
            )),
            (_, Some(given)) if given != policy => Some(format!(
                "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
                 controller computed {policy} from the given PriorityClass name"
            )),
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(Status::forbidden(kind, shown_name(pod), why));
        }
        if asked.is_empty() && !meta::name(&class).is_empty() {
            pod["spec"]["priorityClassName"] = meta::name(&class).into();
        }
        pod["spec"]["priority"] = priority.into();
        pod["spec"]["preemptionPolicy"] = policy.into();
        Ok(())
    }
}

/// A client may leave out what admission once wrote.
fn stay(pod: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        let before = &old["spec"][field];
        if is_unset(pod["spec"].get(field)) && !before.is_null() {
            pod["spec"][field] = before.clone();
        }
    }
}
