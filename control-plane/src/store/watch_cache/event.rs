//! What happened to an object, and the bytes that tell it.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::Object;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was deleted.
    Deleted,
}

/// One change of one object. All watchers that are there when it happens share it, and with it
/// its trees and its encodings; these are gone with the last of them. A clone has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object after the change; of a deleted one the last state, with the revision of the
    /// deletion as its `resourceVersion`.
    pub object: Object,
    /// The object before the change; `None` when it was created.
    pub previous: Option<Object>,
    /// The revision of the change.
    pub revision: u64,
    encodings: Encodings,
}

impl Event {
    /// An event at the revision of the object.
    pub(super) fn new(kind: EventKind, object: Object, previous: Option<Object>) -> Self {
        let revision = object.revision();
        Self { kind, object, previous, revision, encodings: Encodings::default() }
    }

    /// The bytes that tell this event in a form: made by the first watcher that wants it so. The
    /// number of the form is the caller's choice, and must say all that the bytes depend on.
    ///
    /// # Errors
    /// That of `encode`; the next watcher tries again.
    pub fn encoded<E>(&self, form: u8, encode: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        // Others wait meanwhile: they would do the same work.
        let mut known = self.encodings.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = known.iter().find(|(of, _)| *of == form) {
            return Ok(bytes.clone());
        }
        let bytes = encode()?;
        known.push((form, bytes.clone()));
        Ok(bytes)
    }
}

/// Bytes by form. They say nothing that the event does not, so they do not count in comparisons.
#[derive(Default)]
struct Encodings(Mutex<Vec<(u8, Bytes)>>);

impl Clone for Encodings {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Encodings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Encodings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encodings")
    }
}
