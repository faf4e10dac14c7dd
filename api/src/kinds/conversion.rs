//! Rows that show what another row stores: one object, served in several versions or groups.
//!
//! The stored row owns keys, history and columns' pointers; a row with a [`Conversion`] is a view
//! of it. Everything inside the control plane has the stored form: bodies are brought into it as
//! they come in, and answers out of it as they go. A kind with one row pays nothing.

use std::borrow::Cow;

use serde_json::Value;

use super::{Kind, by_plural};

/// How a row shows the objects of another.
pub struct Conversion {
    /// Group, version and plural of the row whose form is stored.
    pub stored: (&'static str, &'static str, &'static str),
    /// Tells the views of one stored row apart, from 1 on.
    pub number: u8,
    /// From the stored form to this row's. `apiVersion` and `kind` need not be set.
    pub show: fn(Value) -> Value,
    /// From this row's form to the stored one, of which nothing that `show` gave is lost.
    /// `apiVersion` and `kind` need not be set.
    pub keep: fn(Value) -> Value,
}

impl Kind {
    /// The row in whose form the objects are stored: this one, unless it is a view.
    pub fn stored(&self) -> &Self {
        match self.stored_as.map(|conversion| conversion.stored) {
            Some((group, version, plural)) => by_plural(group, version, plural).unwrap_or(self),
            None => self,
        }
    }

    /// Whether this row shows what another stores.
    pub fn is_view(&self) -> bool {
        self.stored_as.is_some()
    }

    /// Tells the rows of one stored kind apart: 0 for the one that is stored.
    pub fn view_number(&self) -> u8 {
        self.stored_as.map_or(0, |conversion| conversion.number)
    }

    /// A stored object in the form of this row.
    pub fn shown<'a>(&self, stored: Cow<'a, Value>) -> Cow<'a, Value> {
        match self.stored_as {
            Some(conversion) => Cow::Owned(self.named((conversion.show)(stored.into_owned()))),
            None => stored,
        }
    }

    /// An object in the form of this row as it is stored.
    pub fn kept(&self, object: Value) -> Value {
        match self.stored_as {
            Some(conversion) => self.stored().named((conversion.keep)(object)),
            None => object,
        }
    }

    fn named(&self, mut object: Value) -> Value {
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.into();
        object
    }
}
