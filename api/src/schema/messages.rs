//! How the fields of a type are numbered in the protobuf form of the API.
//!
//! In: the table `messages.txt`. Out: one [`Message`] per type, with its fields in the order in
//! which they are written. Never looks at objects.

use std::{collections::HashMap, sync::LazyLock};

/// The rows of the table.
static ROWS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("messages.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).collect()
});

/// The protobuf form of an object type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Slots in ascending order of their numbers.
    slots: Vec<(u32, Slot)>,
}

/// What stands under a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// One field.
    Field {
        /// Its name in JSON.
        name: &'static str,
        /// Whether its zero says something else than its absence.
        is_optional: bool,
    },
    /// A message whose fields stand inline in JSON.
    Inline(Message),
}

/// What the absence of a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The same as its zero; Go has no pointer here.
    Implicit,
    /// Something else than its zero.
    Explicit,
    /// Nothing is known of it.
    Unknown,
}

impl Message {
    /// The message of a type with this short name, such as `core.v1.Pod`.
    pub(super) fn of(short: &str) -> Option<Self> {
        let (package, _) = short.rsplit_once('.')?;
        let row = ROWS.get(short)?;
        let mut number = 0;
        let mut slots = Vec::new();
        for entry in row.split(' ') {
            let (place, text) = entry.split_once(':').map_or((None, entry), |(place, text)| (Some(place), text));
            number = place.and_then(|place| place.parse().ok()).unwrap_or(number + 1);
            let slot = match text.strip_prefix('@') {
                Some(inline) => Slot::Inline(Self::of(&format!("{package}.{inline}"))?),
                None => {
                    let name = text.trim_end_matches('?');
                    Slot::Field { name, is_optional: name != text }
                }
            };
            slots.push((number, slot));
        }
        Some(Self { slots })
    }

    /// All slots, in ascending order of their numbers.
    pub(crate) fn slots(&self) -> &[(u32, Slot)] {
        &self.slots
    }

    /// What stands under a number.
    pub(crate) fn slot(&self, number: u32) -> Option<&Slot> {
        let index = self.slots.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(&self.slots[index].1)
    }

    /// What the absence of a field says.
    pub(super) fn presence(&self, field: &str) -> Presence {
        let found = self.slots.iter().find_map(|(_, slot)| match slot {
            Slot::Field { name, is_optional: true } if *name == field => Some(Presence::Explicit),
            Slot::Field { name, .. } if *name == field => Some(Presence::Implicit),
            Slot::Field { .. } => None,
            Slot::Inline(inner) => Some(inner.presence(field)).filter(|presence| *presence != Presence::Unknown),
        });
        found.unwrap_or(Presence::Unknown)
    }

    /// The names of all fields, inline ones too.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let names = self.slots.iter().flat_map(|(_, slot)| match slot {
            Slot::Field { name, .. } => vec![*name],
            Slot::Inline(message) => message.names(),
        });
        names.collect()
    }
}
