//! What a change is for somebody who sees only some objects.
//!
//! In: an event of the cache. Out: the event as a client with this selection sees it: an object
//! that begins to match is added, one that no longer does is deleted.

use std::borrow::Cow;

use serde_json::Value;

use super::selection::Selection;
use crate::store::{
    object::set_revision,
    watch_cache::{Event, EventKind},
};

/// The name and the object of the event, if the client sees it at all.
pub(super) fn seen<'a>(event: &'a Event, selection: &Selection) -> Option<(&'static str, Cow<'a, Value>)> {
    let before = event.previous.as_ref().filter(|object| selection.matches(object.value()));
    let now = event.kind != EventKind::Deleted && selection.matches(event.object.value());
    match (before, now) {
        (None, false) => None,
        (None, true) => Some(("ADDED", Cow::Borrowed(event.object.value()))),
        (Some(_), true) => Some(("MODIFIED", Cow::Borrowed(event.object.value()))),
        (Some(_), false) if event.kind == EventKind::Deleted => Some(("DELETED", Cow::Borrowed(event.object.value()))),
        (Some(before), false) => {
            // As it was when it last matched, with the revision at which it stopped to.
            let mut object = before.value().clone();
            set_revision(&mut object, event.revision);
            Some(("DELETED", Cow::Owned(object)))
        }
    }
}
