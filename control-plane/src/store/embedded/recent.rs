//! The newest changes, in memory, for those who follow closely.
//!
//! In: what the writer has committed. Out: the changes after a revision, when all of them are
//! still here; who asks for older ones reads the log on disk. Bounded in number and in bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::Change;

/// Changes kept at most, and bytes in them.
const CHANGES: usize = 2048;
const BYTES: usize = 2 << 20;

/// What the writer shares with all watches.
pub(super) struct Recent(Mutex<Ring>);

struct Ring {
    /// Every change above `after` is here, in order and without gaps.
    changes: VecDeque<Change>,
    bytes: usize,
    after: u64,
}

impl Recent {
    /// Nothing, as of the newest revision.
    pub(super) fn new(newest: u64) -> Self {
        Self(Mutex::new(Ring { changes: VecDeque::new(), bytes: 0, after: newest }))
    }

    /// Takes in what was committed, which may be nothing, as of the revision `newest`. What has
    /// been compacted is forgotten here, too. After a commit whose end nobody saw, changes may be
    /// on disk that never came here: then the ring begins anew, and who is behind reads the log.
    pub(super) fn push(&self, changes: Vec<Change>, newest: u64, compacted: u64) {
        let mut ring = self.ring();
        let before = changes.first().map_or(newest, |first| first.revision - 1);
        if before != ring.upto() {
            ring.changes.clear();
            (ring.bytes, ring.after) = (0, before);
        }
        for change in changes {
            ring.bytes += weight(&change);
            ring.changes.push_back(change);
        }
        while ring.changes.len() > CHANGES || ring.bytes > BYTES || (ring.after < compacted && !ring.changes.is_empty())
        {
            ring.forget();
        }
    }

    /// The changes of a prefix after `after`, from at most `limit` changes of any key; and the
    /// revision up to which this is everything. `None` when some of them are not here any more, or
    /// never were.
    pub(super) fn changes(&self, prefix: &str, after: u64, limit: usize) -> Option<(Vec<Change>, u64)> {
        let ring = self.ring();
        if after < ring.after || after > ring.upto() {
            return None;
        }
        let first = ring.changes.partition_point(|change| change.revision <= after);
        let some = ring.changes.range(first..).take(limit);
        let upto = some.clone().next_back().map_or(after, |last| last.revision);
        Some((some.filter(|change| change.key.starts_with(prefix)).cloned().collect(), upto))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The newest revision that this knows of.
    fn upto(&self) -> u64 {
        self.changes.back().map_or(self.after, |last| last.revision)
    }

    fn forget(&mut self) {
        if let Some(oldest) = self.changes.pop_front() {
            self.bytes -= weight(&oldest);
            self.after = oldest.revision;
        }
    }
}

fn weight(change: &Change) -> usize {
    let bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
    change.key.len() + bytes(&change.value) + bytes(&change.previous)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: u64, size: usize) -> Change {
        let key = if revision.is_multiple_of(2) { "/r/even" } else { "/r/odd" };
        Change { key: key.to_owned(), revision, value: Some(vec![0; size].into()), previous: None }
    }

    fn revisions(found: Option<(Vec<Change>, u64)>) -> Option<(Vec<u64>, u64)> {
        found.map(|(changes, upto)| (changes.iter().map(|change| change.revision).collect(), upto))
    }

    #[test]
    fn those_who_follow_get_what_follows() {
        let recent = Recent::new(10);
        recent.push((11..=15).map(|revision| change(revision, 1)).collect(), 15, 0);
        assert_eq!(revisions(recent.changes("/r/", 10, 9)), Some((vec![11, 12, 13, 14, 15], 15)));
        assert_eq!(revisions(recent.changes("/r/", 12, 2)), Some((vec![13, 14], 14)));
        assert_eq!(revisions(recent.changes("/r/even", 10, 3)), Some((vec![12], 13)));
        assert_eq!(revisions(recent.changes("/r/", 15, 9)), Some((vec![], 15)));
        assert_eq!(revisions(recent.changes("/r/", 9, 9)), None, "what was before the start is on disk");
    }

    #[test]
    fn what_is_compacted_is_not_told() {
        let recent = Recent::new(10);
        recent.push((11..=15).map(|revision| change(revision, 1)).collect(), 15, 13);
        assert_eq!(revisions(recent.changes("/r/", 12, 9)), None);
        assert_eq!(revisions(recent.changes("/r/", 13, 9)), Some((vec![14, 15], 15)));
    }

    /// A commit that failed on its last step may have reached the disk.
    #[test]
    fn changes_that_never_came_are_read_from_disk() {
        let recent = Recent::new(10);
        recent.push(vec![change(11, 1), change(12, 1)], 12, 0);
        assert_eq!(revisions(recent.changes("/r/", 14, 9)), None, "somebody saw more on disk");
        recent.push(vec![change(15, 1), change(16, 1)], 16, 0);
        for behind in [10, 12, 13] {
            assert_eq!(revisions(recent.changes("/r/", behind, 9)), None);
        }
        assert_eq!(revisions(recent.changes("/r/", 14, 9)), Some((vec![15, 16], 16)));
        let ring = recent.ring();
        assert_eq!(ring.bytes, ring.changes.iter().map(weight).sum::<usize>());
    }

    #[test]
    fn what_a_commit_without_changes_reveals_is_read_from_disk() {
        let recent = Recent::new(10);
        recent.push(vec![change(11, 1)], 11, 0);
        recent.push(Vec::new(), 11, 0);
        assert_eq!(revisions(recent.changes("/r/", 10, 9)), Some((vec![11], 11)), "nothing was missed");
        recent.push(Vec::new(), 12, 0);
        assert_eq!(revisions(recent.changes("/r/", 11, 9)), None);
        assert_eq!(revisions(recent.changes("/r/", 12, 9)), Some((vec![], 12)));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let recent = Recent::new(0);
        recent.push((1..=10_000).map(|revision| change(revision, 1)).collect(), 10_000, 0);
        assert_eq!(recent.ring().changes.len(), CHANGES);
        recent.push((10_001..=10_010).map(|revision| change(revision, 1 << 20)).collect(), 10_010, 0);
        assert!(recent.ring().bytes <= BYTES && !recent.ring().changes.is_empty());
        assert_eq!(revisions(recent.changes("/r/", 10_010, 9)), Some((vec![], 10_010)));
        while !recent.ring().changes.is_empty() {
            recent.ring().forget();
        }
        assert_eq!(recent.ring().bytes, 0);
    }
}
