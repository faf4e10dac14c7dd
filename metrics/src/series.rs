//! One metric per set of labels.
//!
//! Readers take whatever map is there; a writer that needs a new entry makes a new map. Sets of
//! labels are few and come early, so that the second is rare.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

/// More sets of labels than this are not kept: what comes then is not counted. No honest set of
/// labels gets there.
const LIMIT: usize = 16 * 1024;

/// A set of labels, cheap to copy.
pub trait Labels: Copy + Eq + Hash + Ord + Send + Sync + 'static {
    /// Names and values, in the order in which they are shown.
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)>;
}

/// Metrics by their labels.
#[derive(Debug)]
pub struct Series<L, M> {
    known: ArcSwap<HashMap<L, Arc<M>>>,
    making: Mutex<()>,
    make: fn() -> M,
}

impl<L: Labels, M> Series<L, M> {
    /// None yet; `make` makes each.
    pub fn new(make: fn() -> M) -> Self {
        Self { known: ArcSwap::default(), making: Mutex::new(()), make }
    }

    /// Counts on the metric of these labels.
    pub fn with<T>(&self, labels: &L, count: impl FnOnce(&M) -> T) -> T {
        if let Some(metric) = self.known.load().get(labels) {
            return count(metric);
        }
        count(&self.add(labels))
    }

    /// The metric of these labels, for whoever counts often.
    pub fn of(&self, labels: &L) -> Arc<M> {
        let found = self.known.load().get(labels).cloned();
        found.unwrap_or_else(|| self.add(labels))
    }

    /// All that there are, in the order of their labels.
    pub fn all(&self) -> Vec<(L, Arc<M>)> {
        let mut all: Vec<_> = self.known.load().iter().map(|(labels, metric)| (*labels, metric.clone())).collect();
        all.sort_by_key(|(labels, _)| *labels);
        all
    }

    fn add(&self, labels: &L) -> Arc<M> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        if let Some(metric) = known.get(labels) {
            return metric.clone();
        }
        let metric = Arc::new((self.make)());
        if known.len() < LIMIT {
            let mut more = HashMap::clone(&known);
            more.insert(*labels, metric.clone());
            self.known.store(Arc::new(more));
        }
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Number(usize);

    impl Labels for Number {
        fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
            vec![("number", self.0.to_string().into())]
        }
    }

    #[test]
    fn equal_labels_have_one_metric_whoever_comes_first() {
        let series = Series::new(Counter::new);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|number| series.with(&Number(number % 10), Counter::inc)));
            }
        });
        let all = series.all();
        assert_eq!(all.iter().map(|(labels, _)| labels.0).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert!(all.iter().all(|(_, counter)| counter.get() == 40));
    }

    #[test]
    fn labels_without_end_do_not_use_up_memory() {
        let series = Series::new(Counter::new);
        let mut known = HashMap::new();
        known.extend((0..LIMIT).map(|number| (Number(number), Arc::new(Counter::new()))));
        series.known.store(Arc::new(known));
        series.with(&Number(LIMIT), Counter::inc);
        assert_eq!(series.all().len(), LIMIT);
    }
}
