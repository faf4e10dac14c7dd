//! Events: one object, stored as that of the core group and shown in `events.k8s.io` too, which
//! gives most fields other names.

use serde_json::Value;

use crate::kinds::Conversion;

/// `events.k8s.io/v1` as a view of the core group's events.
pub(crate) const NEW_EVENT: Conversion = Conversion { stored: ("", "v1", "events"), number: 1, show, keep };

/// Fields by their names in the core group and in `events.k8s.io`; all others have the same.
const NAMES: [(&str, &str); 7] = [
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("involvedObject", "regarding"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];

fn show(mut event: Value) -> Value {
    NAMES.iter().for_each(|(core, new)| rename(&mut event, core, new));
    event
}

fn keep(mut event: Value) -> Value {
    NAMES.iter().for_each(|(core, new)| rename(&mut event, new, core));
    event
}

fn rename(event: &mut Value, from: &str, to: &str) {
    if let Some(fields) = event.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}
