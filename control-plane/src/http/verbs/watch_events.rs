//! What a change is for somebody who sees only some objects.
//!
//! In: an event of the cache. Out: the event as a client with this selection sees it: an object
//! that begins to match is added, one that no longer does is deleted.

use std::borrow::Cow;

use super::selection::Selection;
use crate::store::{
    object::Object,
    watch_cache::{Event, EventKind},
};

/// An event as a client sees it. The name says which object it is.
pub(super) struct Seen<'a> {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) name: &'static str,
    /// What is shown.
    pub(super) object: Cow<'a, Object>,
    /// What happened.
    pub(super) event: &'a Event,
}

/// The event, if the client sees it at all.
pub(super) fn seen<'a>(event: &'a Event, selection: &Selection) -> Option<Seen<'a>> {
    let before = event.previous.as_ref().filter(|object| selection.matches_shared(object));
    let now = event.kind != EventKind::Deleted && selection.matches_shared(&event.object);
    let (name, object) = match (before, now) {
        (None, false) => return None,
        (None, true) => ("ADDED", Cow::Borrowed(&event.object)),
        (Some(_), true) => ("MODIFIED", Cow::Borrowed(&event.object)),
        (Some(_), false) if event.kind == EventKind::Deleted => ("DELETED", Cow::Borrowed(&event.object)),
        // As it was when it last matched, with the revision at which it stopped to.
        (Some(before), false) => ("DELETED", Cow::Owned(before.at_revision(event.revision))),
    };
    Some(Seen { name, object, event })
}
