//! Fields that an applier wants and others own.

use std::fmt;

use super::{
    fields::{Element, FieldSet, path_text},
    managed::{Operation, Owner},
};

/// A field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    owner: Owner,
    path: Vec<Element>,
}

/// All fields that others own, by owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(Vec<Conflict>);

impl Conflict {
    /// The field, as messages show it: `.spec.replicas`.
    pub fn field(&self) -> String {
        path_text(&self.path.iter().collect::<Vec<_>>())
    }

    /// The owner, as messages name it.
    pub fn owner(&self) -> String {
        let Owner { manager, operation, update_version, subresource } = &self.owner;
        let mut words = format!("{manager:?}");
        if !subresource.is_empty() {
            words += &format!(" with subresource {subresource:?}");
        }
        if *operation == Operation::Update {
            words += &format!(" using {update_version}");
        }
        words
    }
}

impl Conflicts {
    /// The fields of owners as conflicts; none when these are none.
    pub(super) fn of(owned: Vec<(Owner, FieldSet)>) -> Option<Self> {
        let mut owned = owned;
        owned.sort_by(|(a, _), (b, _)| a.cmp(b));
        let conflicts: Vec<Conflict> = owned
            .iter()
            .flat_map(|(owner, fields)| fields.paths().into_iter().map(move |path| (owner, path)))
            .map(|(owner, path)| Conflict { owner: owner.clone(), path: path.into_iter().cloned().collect() })
            .collect();
        (!conflicts.is_empty()).then_some(Self(conflicts))
    }

    /// The conflicts.
    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.0.iter()
    }

    /// Those about fields that are not in a set; none when these are none.
    pub(super) fn outside(&self, set: &FieldSet) -> Option<Self> {
        let left: Vec<Conflict> = self.0.iter().filter(|conflict| !set.has(&conflict.path)).cloned().collect();
        (!left.is_empty()).then_some(Self(left))
    }

    /// The same with owners that are seen in another version, as through a view of the object.
    #[must_use]
    pub fn seen_in(mut self, version: &str) -> Self {
        for conflict in self.0.iter_mut().filter(|conflict| conflict.owner.operation == Operation::Update) {
            version.clone_into(&mut conflict.owner.update_version);
        }
        self
    }
}

impl fmt::Display for Conflicts {
    /// One line for one conflict, a list by owner for several.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", one.owner(), one.field());
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut last = None;
        for (at, conflict) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            if last != Some(&conflict.owner) {
                writeln!(f, "conflicts with {}:", conflict.owner())?;
                last = Some(&conflict.owner);
            }
            write!(f, "- {}", conflict.field())?;
        }
        Ok(())
    }
}
