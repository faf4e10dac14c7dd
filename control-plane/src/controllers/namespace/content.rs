//! What is left of a namespace on its way out, and how its status tells. Pure. Follows upstream's
//! `pkg/controller/namespace/deletion`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeplane_api::kinds::Kind;
use serde_json::{Value, json};

/// What the API says about a namespace that goes, and when all is well. Discovery and parsing
/// cannot fail here: kinds are known from the table.
const DISCOVERY: Told = Told {
    type_: "NamespaceDeletionDiscoveryFailure",
    reason: "ResourcesDiscovered",
    message: "All resources successfully discovered",
};
const PARSING: Told = Told {
    type_: "NamespaceDeletionGroupVersionParsingFailure",
    reason: "ParsedGroupVersions",
    message: "All legacy kube types successfully parsed",
};
const DELETION: Told = Told {
    type_: "NamespaceDeletionContentFailure",
    reason: "ContentDeleted",
    message: "All content successfully deleted, may be waiting on finalization",
};
const REMAINING: Told =
    Told { type_: "NamespaceContentRemaining", reason: "ContentRemoved", message: "All content successfully removed" };
const FINALIZERS: Told = Told {
    type_: "NamespaceFinalizersRemaining",
    reason: "ContentHasNoFinalizers",
    message: "All content-preserving finalizers finished",
};

/// A condition, and what it says when it is false.
struct Told {
    type_: &'static str,
    reason: &'static str,
    message: &'static str,
}

/// What one look at all kinds has found.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Objects by `resource.group`.
    objects: BTreeMap<String, usize>,
    /// Objects by the finalizer that they wait for.
    finalizers: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Content {
    /// Objects of `kind` are left although they were deleted.
    pub(super) fn is_left(&mut self, kind: &Kind, objects: &[Value]) {
        if objects.is_empty() {
            return;
        }
        self.objects.insert(format!("{}.{}", kind.plural, kind.group), objects.len());
        for object in objects {
            let finalizers = object["metadata"]["finalizers"].as_array();
            for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
                *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }

    /// Objects of some kind could not be deleted.
    pub(super) fn fails(&mut self, message: String) {
        self.failures.push(message);
    }

    /// How many objects are left.
    pub(super) fn len(&self) -> usize {
        self.objects.values().sum()
    }

    /// Brings the conditions of a namespace in line with this. Returns whether that is news.
    pub(super) fn tell(&self, namespace: &mut Value, now: Timestamp) -> bool {
        let status = &mut namespace["status"];
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let mut news = false;
        for (told, bad) in [
            (DISCOVERY, None),
            (PARSING, None),
            (DELETION, self.failed()),
            (REMAINING, self.remaining()),
            (FINALIZERS, self.unfinished()),
        ] {
            news |= set(&mut conditions, &told, bad, now);
        }
        status["conditions"] = conditions.into();
        news
    }

    fn failed(&self) -> Option<(&'static str, String)> {
        let mut failures = self.failures.clone();
        failures.sort();
        let (count, list) = (failures.len(), failures.join(", "));
        let message = format!("Failed to delete all resource types, {count} remaining: {list}");
        (count > 0).then_some(("ContentDeletionFailed", message))
    }

    fn remaining(&self) -> Option<(&'static str, String)> {
        let left = self.objects.iter().map(|(resource, count)| format!("{resource} has {count} resource instances"));
        let message = format!("Some resources are remaining: {}", left.collect::<Vec<_>>().join(", "));
        (!self.objects.is_empty()).then_some(("SomeResourcesRemain", message))
    }

    fn unfinished(&self) -> Option<(&'static str, String)> {
        let left = self.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances"));
        let list = left.collect::<Vec<_>>().join(", ");
        let message = format!("Some content in the namespace has finalizers remaining: {list}");
        (!self.finalizers.is_empty()).then_some(("SomeFinalizersRemain", message))
    }
}

/// Sets one condition: true with a reason and a message when something is `bad`. Returns whether
/// that is news.
fn set(conditions: &mut Vec<Value>, told: &Told, bad: Option<(&str, String)>, now: Timestamp) -> bool {
    let status = if bad.is_some() { "True" } else { "False" };
    let (reason, message) = bad.unwrap_or_else(|| (told.reason, told.message.to_owned()));
    let old = conditions.iter_mut().find(|condition| condition["type"] == told.type_);
    let since = match &old {
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        _ => format!("{now:.0}").into(),
    };
    let new = json!({ "type": told.type_, "status": status, "lastTransitionTime": since,
                      "reason": reason, "message": message });
    match old {
        Some(old) if *old == new => return false,
        Some(old) => *old = new,
        None => conditions.push(new),
    }
    true
}
