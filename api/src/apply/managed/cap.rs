//! Not too many owners.

use std::collections::BTreeMap;

use super::{Managed, Operation, Owner};

/// How many owners by updates an object may have (upstream's `DefaultMaxUpdateManagers`).
const MOST: usize = 10;
/// Who owns what the oldest of them owned.
const ANCIENT: &str = "ancient-changes";

impl Managed {
    /// Lets one owner per version have what the oldest owners by updates have, until there are not
    /// too many of these.
    pub(in crate::apply) fn cap(&mut self) {
        let mut updaters: Vec<(i64, Owner)> = self
            .0
            .iter()
            .filter(|entry| entry.owner.operation == Operation::Update)
            .map(|entry| (entry.seconds(), entry.owner.clone()))
            .collect();
        let mut count = updaters.len();
        if count <= MOST {
            return;
        }
        updaters.sort();
        let mut oldest: BTreeMap<String, Owner> = BTreeMap::new();
        for (_, owner) in updaters {
            if count <= MOST {
                break;
            }
            let version = owner.update_version.clone();
            match oldest.get(&version) {
                None => drop(oldest.insert(version, owner)),
                Some(first) => {
                    let first = first.clone();
                    self.gather(&first, &owner);
                    count -= 1;
                }
            }
        }
    }

    /// Makes the oldest owner of a version the common one, and gives it the fields of another.
    fn gather(&mut self, first: &Owner, other: &Owner) {
        let bucket = Owner { manager: ANCIENT.to_owned(), subresource: String::new(), ..first.clone() };
        if self.entry(&bucket).is_none()
            && let Some(entry) = self.0.iter_mut().find(|entry| entry.owner == *first)
        {
            entry.owner = bucket.clone();
        }
        let given = if bucket == *other { first } else { other };
        let Some(at) = self.0.iter().position(|entry| entry.owner == *given) else { return };
        let taken = self.0.remove(at);
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.owner == bucket) {
            let is_later = taken.seconds() > entry.seconds();
            entry.fields.join(taken.fields);
            if is_later {
                entry.time = taken.time;
            }
        }
    }
}
