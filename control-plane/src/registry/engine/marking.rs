//! The marks of a deletion: since when, how long, and what the garbage collector is to do.
//!
//! In: a stored object and how it is to be deleted. Out: the object as it is once the deletion
//! has begun. Pure; the time is a parameter.

use jiff::{SignedDuration, Timestamp};
use nodeplane_api::meta;
use serde_json::Value;

use super::Removal;
use crate::registry::{Deletion, Strategy, metadata::own};

/// The finalizer of an object whose dependents are to lose it as owner before it goes.
const ORPHAN: &str = "orphan";
/// The finalizer of an object whose dependents are to go first.
const FOREGROUND: &str = "foregroundDeletion";

/// What is to become of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

impl Propagation {
    /// The finalizer that asks the garbage collector for it.
    pub(super) fn finalizer(self) -> Option<&'static str> {
        match self {
            Self::Orphan => Some(ORPHAN),
            Self::Foreground => Some(FOREGROUND),
            Self::Background => None,
        }
    }
}

/// The object as it is once the deletion has begun. A later deletion can only shorten the time
/// that is left.
pub(super) fn mark(strategy: &dyn Strategy, old: &Value, removal: &Removal, now: Timestamp) -> Value {
    let mut object = old.clone();
    let seconds = match strategy.deletion(old, removal.grace) {
        Deletion::Immediate => 0,
        Deletion::Graceful { seconds } => seconds,
    };
    let began = meta::text(old, "deletionTimestamp").parse::<Timestamp>().ok();
    let left = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let ends = match began {
        None => now.saturating_add(SignedDuration::from_secs(seconds)),
        Some(_) if left > 0 && seconds >= left => return object,
        Some(ends) => ends.saturating_sub(SignedDuration::from_secs(left.saturating_sub(seconds).max(0))),
    };
    meta::set(&mut object, "deletionTimestamp", own::time(ends.unwrap_or(now)));
    meta::set(&mut object, "deletionGracePeriodSeconds", seconds.min(if began.is_some() { left } else { seconds }));
    if began.is_none() && object["metadata"]["generation"].as_i64().is_some_and(|generation| generation > 0) {
        own::raise_generation(&mut object);
    }
    if strategy.has_dependents() {
        set_finalizers(&mut object, removal.propagation, strategy.default_propagation());
    }
    strategy.on_deletion_marked(&mut object);
    object
}

/// Sets the finalizers of the garbage collector: as the client says, or as they were, or as it is
/// usual for the kind.
fn set_finalizers(object: &mut Value, propagation: Option<Propagation>, usual: Propagation) {
    let had: Vec<String> = object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
        .collect();
    let propagation = propagation.unwrap_or_else(|| match had.iter().map(String::as_str).find(|f| is_collectors(f)) {
        Some(ORPHAN) => Propagation::Orphan,
        Some(_) => Propagation::Foreground,
        None => usual,
    });
    let wanted = propagation.finalizer();
    let mut finalizers: Vec<String> = had.iter().filter(|f| !is_collectors(f)).cloned().collect();
    finalizers.extend(wanted.map(str::to_owned));
    let (mut sorted, mut before) = (finalizers.clone(), had);
    sorted.sort();
    before.sort();
    if sorted == before {
        return;
    }
    match finalizers.is_empty() {
        true => meta::remove(object, "finalizers"),
        false => meta::set(object, "finalizers", finalizers),
    }
}

fn is_collectors(finalizer: &str) -> bool {
    matches!(finalizer, ORPHAN | FOREGROUND)
}
