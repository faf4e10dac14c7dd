//! The entries of `metadata.managedFields`: who owns what.
//!
//! In: the entries as objects have them. Out: the same as sets of fields, and back.

mod cap;
mod decode;
mod encode;

use serde_json::Value;

use super::{Writer, fields::FieldSet};

pub(super) use self::{decode::is_cleared, encode::time};

/// The name of who gives none.
const NAMELESS: &str = "unknown";

/// How an owner came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It applied them.
    Apply,
    /// It wrote them.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells owners apart. An applier is the same in whatever version it applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) operation: Operation,
    /// The version of an [`Operation::Update`]; empty otherwise.
    pub(super) update_version: String,
    pub(super) subresource: String,
}

/// An owner with its fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) owner: Owner,
    /// The version that the fields are of.
    pub(super) version: String,
    pub(super) fields: FieldSet,
    /// When it last wrote, as text; null when it never changed anything.
    pub(super) time: Value,
}

/// All owners of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Managed(pub(super) Vec<Entry>);

impl Owner {
    /// The owner that a write makes.
    pub(super) fn of(writer: &Writer<'_>, operation: Operation) -> Self {
        let manager = if writer.manager.is_empty() { NAMELESS } else { writer.manager };
        let update_version = match operation {
            Operation::Apply => String::new(),
            Operation::Update => writer.kind.api_version(),
        };
        Self { manager: manager.to_owned(), operation, update_version, subresource: writer.subresource().to_owned() }
    }
}

impl Managed {
    /// Whether nobody owns anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an owner has.
    pub(super) fn entry(&self, owner: &Owner) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.owner == *owner)
    }

    /// Puts an entry in place of the owner's.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|found| found.owner == entry.owner) {
            Some(found) => *found = entry,
            None => self.0.push(entry),
        }
    }

    /// Forgets owners of nothing.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|entry| !entry.fields.is_empty());
    }
}
