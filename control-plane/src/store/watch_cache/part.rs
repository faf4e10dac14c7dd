//! Part of a list: from where, how many, which ones.

use std::ops::ControlFlow;

use super::{List, Object};

/// A test of an object.
pub type Keep<'a> = dyn Fn(&Object) -> bool + Send + Sync + 'a;

/// Which objects of a scope a list has. Everything by default.
#[derive(Clone, Copy, Default)]
pub struct Part<'a> {
    /// Those whose key is not below this one.
    pub start: Option<&'a str>,
    /// At most this many; at least one.
    pub limit: Option<usize>,
    /// Those that pass this test. It is asked no more once the list is full and the next object
    /// is found.
    pub keep: Option<&'a Keep<'a>>,
}

/// Collects a part out of objects in key order.
pub(super) struct Collector<'a> {
    part: &'a Part<'a>,
    objects: Vec<Object>,
    has_more: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(part: &'a Part<'a>) -> Self {
        Self { part, objects: Vec::new(), has_more: false }
    }

    /// Looks at the next object, and breaks when no further one matters.
    pub(super) fn offer(&mut self, object: &Object) -> ControlFlow<()> {
        if self.part.keep.is_some_and(|keep| !keep(object)) {
            return ControlFlow::Continue(());
        }
        if self.part.limit.is_some_and(|limit| self.objects.len() >= limit) {
            self.has_more = true;
            return ControlFlow::Break(());
        }
        self.objects.push(object.clone());
        ControlFlow::Continue(())
    }

    /// The list as of a revision. `count` tells how many objects follow a key, and is asked only
    /// where that says how many the list lacks.
    pub(super) fn finish(self, revision: u64, count: impl FnOnce(&str) -> usize) -> List {
        let Self { part, objects, has_more } = self;
        let last = objects.last().filter(|_| has_more && part.keep.is_none());
        let remaining = last.map(|last| count(last.key()));
        List { objects, revision, has_more, remaining }
    }
}
