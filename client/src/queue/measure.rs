//! What work queues tell about themselves: the metrics `workqueue_*` of client-go.
//!
//! In: what happens to a queue that has a name. Out: samples. Queues of one name, such as those of
//! two terms of a leader, are counted together.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nodeplane_metrics::{Bounds, Counter, Gauge, Histogram, Labels, Series, Text};
use tokio::time::Instant;

/// Upstream's: ten nanoseconds to a thousand seconds.
static TIMES: Bounds = Bounds::seconds(&[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0]);

static QUEUES: LazyLock<Series<Name, Measures>> = LazyLock::new(|| Series::new(Measures::new));

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name(&'static str);

impl Labels for Name {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("name", self.0.into())]
    }
}

/// The numbers of the queues of one name.
pub(super) struct Measures {
    pub(super) depth: Gauge,
    pub(super) adds: Counter,
    pub(super) retries: Counter,
    waited: Histogram,
    worked: Histogram,
    /// Since when each of those who work does.
    working: Mutex<Vec<Instant>>,
}

impl Measures {
    fn new() -> Self {
        Self {
            depth: Gauge::new(),
            adds: Counter::new(),
            retries: Counter::new(),
            waited: Histogram::new(&TIMES),
            worked: Histogram::new(&TIMES),
            working: Mutex::default(),
        }
    }

    /// Those of a name.
    pub(super) fn of(name: &'static str) -> Arc<Self> {
        QUEUES.of(&Name(name))
    }

    /// A key is worked on from `now`, after it was wanted for some time.
    pub(super) fn begin(&self, waited: Duration, now: Instant) {
        self.depth.add(-1);
        self.waited.took(waited);
        self.working().push(now);
    }

    /// Work that began at `since` has ended.
    pub(super) fn end(&self, since: Instant) {
        self.worked.took(since.elapsed());
        let mut working = self.working();
        if let Some(place) = working.iter().position(|begun| *begun == since) {
            working.swap_remove(place);
        }
    }

    fn working(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long those who work have worked, together and at most.
    fn unfinished(&self) -> (Duration, Duration) {
        let times: Vec<Duration> = self.working().iter().map(Instant::elapsed).collect();
        (times.iter().sum(), times.into_iter().max().unwrap_or_default())
    }
}

/// How many keys wait in the queues of a name.
pub fn depth(name: &'static str) -> i64 {
    QUEUES.of(&Name(name)).depth.get()
}

/// Shows what the queues of this process tell.
pub fn show(text: &mut Text) {
    let queues = QUEUES.all();
    let help = "Total number of adds handled by workqueue";
    counted(text, &queues, "workqueue_adds_total", help, |queue| &queue.adds);
    let help = "Total number of retries handled by workqueue";
    counted(text, &queues, "workqueue_retries_total", help, |queue| &queue.retries);
    let mut group = text.group("workqueue_depth", "gauge", "Current depth of workqueue");
    queues.iter().for_each(|(name, queue)| group.level(&name.pairs(), queue.depth.get()));
    let help = "How long in seconds an item stays in workqueue before being requested.";
    timed(text, &queues, "workqueue_queue_duration_seconds", help, |queue| &queue.waited);
    let help = "How long in seconds processing an item from workqueue takes.";
    timed(text, &queues, "workqueue_work_duration_seconds", help, |queue| &queue.worked);
    let help = "How many seconds of work has done that is in progress and hasn't been observed by work_duration.";
    let mut group = text.group("workqueue_unfinished_work_seconds", "gauge", help);
    queues.iter().for_each(|(name, queue)| group.real(&name.pairs(), queue.unfinished().0.as_secs_f64()));
    let help = "How many seconds has the longest running processor for workqueue been running.";
    let mut group = text.group("workqueue_longest_running_processor_seconds", "gauge", help);
    queues.iter().for_each(|(name, queue)| group.real(&name.pairs(), queue.unfinished().1.as_secs_f64()));
}

type Queues = [(Name, Arc<Measures>)];

fn counted(text: &mut Text, queues: &Queues, name: &str, help: &str, which: impl Fn(&Measures) -> &Counter) {
    let mut group = text.group(name, "counter", help);
    queues.iter().for_each(|(name, queue)| group.count(&name.pairs(), which(queue).get()));
}

fn timed(text: &mut Text, queues: &Queues, name: &str, help: &str, which: impl Fn(&Measures) -> &Histogram) {
    let mut group = text.group(name, "histogram", help);
    queues.iter().for_each(|(name, queue)| group.histogram(&name.pairs(), which(queue)));
}
