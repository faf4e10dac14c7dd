//! How rows of the table are written: a kind in few words, and what differs from most after it.

use super::{Backing, Conversion, Kind, Part, Scope, Verb, shape};
use crate::columns::Column;

/// Group and version of the kinds of a file.
#[derive(Clone, Copy)]
pub(super) struct Api(pub(super) &'static str, pub(super) &'static str);

impl Api {
    /// A kind whose objects live inside namespaces: its struct, kind, plural and singular.
    pub(super) const fn namespaced<T: schemars::JsonSchema>(
        self,
        kind: &'static str,
        plural: &'static str,
        singular: &'static str,
    ) -> Kind {
        self.row::<T>(Scope::Namespaced, kind, plural, singular)
    }

    /// A kind whose objects belong to the whole cluster: its struct, kind, plural and singular.
    pub(super) const fn cluster<T: schemars::JsonSchema>(
        self,
        kind: &'static str,
        plural: &'static str,
        singular: &'static str,
    ) -> Kind {
        self.row::<T>(Scope::Cluster, kind, plural, singular)
    }

    const fn row<T: schemars::JsonSchema>(
        self,
        scope: Scope,
        kind: &'static str,
        plural: &'static str,
        singular: &'static str,
    ) -> Kind {
        Kind {
            group: self.0,
            version: self.1,
            kind,
            plural,
            singular,
            short_names: &[],
            categories: &[],
            scope,
            verbs: Verb::ALL,
            parts: &[],
            backing: Backing::Stored,
            stored_as: None,
            columns: &[],
            selectable_fields: &[],
            shape: shape::<T>(),
        }
    }
}

impl Kind {
    /// With columns of its own.
    pub(super) const fn columns(mut self, columns: &'static [Column]) -> Self {
        self.columns = columns;
        self
    }

    /// A view of what another row stores.
    pub(super) const fn view_of(mut self, conversion: &'static Conversion) -> Self {
        self.stored_as = Some(conversion);
        self
    }

    /// With abbreviations.
    pub(super) const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    /// One of `kubectl get all`.
    pub(super) const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    /// With paths below its objects.
    pub(super) const fn parts(mut self, parts: &'static [Part]) -> Self {
        self.parts = parts;
        self
    }

    /// With fewer verbs than most.
    pub(super) const fn verbs(mut self, verbs: &'static [Verb]) -> Self {
        self.verbs = verbs;
        self
    }

    /// Never stored: each object is made for the call that asks for it, by these verbs.
    pub(super) const fn made_for(mut self, verbs: &'static [Verb]) -> Self {
        self.backing = Backing::Virtual;
        self.verbs = verbs;
        self
    }

    /// With fields that selectors may name.
    pub(super) const fn fields(mut self, fields: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        self.selectable_fields = fields;
        self
    }
}

/// How many rows all files have.
pub(super) const fn count(table: &[&[Kind]]) -> usize {
    let (mut all, mut file) = (0, 0);
    while file < table.len() {
        all += table[file].len();
        file += 1;
    }
    all
}

/// The rows of all files in one list.
pub(super) const fn concat<const N: usize>(table: &[&[Kind]]) -> [Kind; N] {
    let mut rows = [table[0][0]; N];
    let (mut next, mut file) = (0, 0);
    while file < table.len() {
        let mut row = 0;
        while row < table[file].len() {
            rows[next] = table[file][row];
            next += 1;
            row += 1;
        }
        file += 1;
    }
    rows
}
