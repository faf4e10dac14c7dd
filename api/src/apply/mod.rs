//! Server-side apply: who owns which fields of an object, and what an applied configuration makes
//! of it (the semantics of structured-merge-diff v4).
//!
//! In: the stored object, what somebody writes or applies, who it is, and the time. Out: the object
//! with its `metadata.managedFields`, or the conflicts. [`fields`] holds sets of fields and their
//! text, [`typed`] walks values along the types of the [`Model`](crate::schema), [`managed`] keeps
//! the entries, and the two functions of this room put them together. Pure; nothing here defaults,
//! validates values or knows revisions. Entries of another version than the one that is written
//! are kept as they are.

mod conflict;
mod fields;
mod last_applied;
mod managed;
mod merging;
#[cfg(test)]
mod tests;
mod typed;
mod updating;

use jiff::Timestamp;

pub use self::{
    conflict::{Conflict, Conflicts},
    managed::Operation,
    merging::{ApplyError, apply, configuration},
    updating::update,
};
use crate::{
    kinds::{self, Kind, Subresource},
    schema::{Model, Type},
};

/// Who writes, what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The name that the client gives itself; `unknown` when it is empty.
    pub manager: &'a str,
    /// The kind of the object, in the version of the request.
    pub kind: &'static Kind,
    /// The part of the object that the request is about.
    pub part: Option<&'static kinds::Part>,
    /// The time of the request.
    pub now: Timestamp,
}

impl Writer<'_> {
    fn subresource(&self) -> &'static str {
        self.part.map_or("", kinds::Part::name)
    }

    /// The type of the objects.
    fn root(&self) -> Type {
        Model::get().by_name(&(self.kind.shape.definition)()).map_or(Type::Json, Type::Object)
    }

    /// What of a set of fields a request of this kind can change, and so own.
    fn reset(&self, set: fields::FieldSet) -> fields::FieldSet {
        match self.part {
            Some(part) if !part.writes.is_empty() => {
                set.below_any(part.writes.iter().chain(part.may_write).map(|pointer| fields::pointer(pointer)))
            }
            _ if self.kind.has(Subresource::Status) => set.outside(&fields::pointer("/status")),
            _ => set,
        }
    }
}
