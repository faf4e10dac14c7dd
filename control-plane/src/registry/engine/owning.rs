//! Who owns what a write changes.
//!
//! In: the object that somebody asks for, with its defaults, and the one that is stored. Out: the
//! same object with its `metadata.managedFields`. What the server does to it afterwards (its own
//! metadata, admission, allocation) belongs to nobody.

use std::borrow::Cow;

use jiff::Timestamp;
use nodeplane_api::{
    apply::{self, Writer},
    kinds::Kind,
    meta,
};
use serde_json::Value;

use crate::{access::Request, registry::metadata::own};

/// Whose a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership<'a> {
    /// Of the manager with this name, which owns from now on what it changes.
    Manager(&'a str),
    /// The object that is asked for says it itself, since it was applied.
    Applied,
}

/// How the owners of one write are found.
#[derive(Clone, Copy)]
pub(super) struct Owning<'a> {
    writer: Option<Writer<'a>>,
    kind: &'static Kind,
}

impl<'a> Owning<'a> {
    pub(super) fn new(ownership: Ownership<'a>, request: &Request) -> Self {
        let kind = request.kind;
        let part = request.subresource.and_then(|subresource| kind.part(subresource));
        let writer = match ownership {
            Ownership::Manager(manager) => Some(Writer { manager, kind, part, now: Timestamp::now() }),
            Ownership::Applied => None,
        };
        Self { writer, kind }
    }

    /// Gives `object`, which is to replace `old`, its owners; `said` is what the client asks for.
    pub(super) fn settle(&self, object: &mut Value, old: Option<&Value>, said: Option<&Value>) {
        match (&self.writer, said) {
            (Some(writer), _) if self.kind.is_view() => self.settle_shown(writer, object, old),
            (Some(writer), _) => apply::update(writer, old, object),
            (None, Some(said)) => own::keep_owners(object, said),
            (None, None) => {}
        }
    }

    /// Fields are those of the version that was asked for, not of the stored form.
    fn settle_shown(&self, writer: &Writer<'_>, object: &mut Value, old: Option<&Value>) {
        let mut shown = self.kind.shown(Cow::Borrowed(object)).into_owned();
        let old = old.map(|old| self.kind.shown(Cow::Borrowed(old)));
        apply::update(writer, old.as_deref(), &mut shown);
        match shown["metadata"].get("managedFields") {
            Some(entries) => meta::set(object, "managedFields", entries.clone()),
            None => meta::remove(object, "managedFields"),
        }
    }
}
