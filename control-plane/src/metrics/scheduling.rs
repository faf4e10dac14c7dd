//! Attempts to find nodes for pods: the metrics `scheduler_*`.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use nodeplane_metrics::{Bounds, Gauge, Histogram, Labels, Series, Text};

/// A millisecond, doubled up to sixteen seconds.
static TIMES: Bounds = Bounds::seconds(&[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
]);

static ATTEMPTS: LazyLock<Series<Attempt, Histogram>> = LazyLock::new(|| Series::new(|| Histogram::new(&TIMES)));
static DECISIONS: LazyLock<Histogram> = LazyLock::new(|| Histogram::new(&TIMES));

/// Pods that found no node and wait for a change.
pub static UNSCHEDULABLE: Gauge = Gauge::new();

/// The only profile that there is.
const PROFILE: &str = "default-scheduler";
/// The queue of the scheduler.
const QUEUE: &str = "scheduler";

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attempt {
    /// The pod has a node.
    Scheduled,
    /// There is no node for it.
    Unschedulable,
    /// There is, but it could not be written down.
    Error,
}

impl Labels for Attempt {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let result = match self {
            Self::Scheduled => "scheduled",
            Self::Unschedulable => "unschedulable",
            Self::Error => "error",
        };
        vec![("profile", PROFILE.into()), ("result", result.into())]
    }
}

/// It was decided about a pod.
pub fn decided(took: Duration) {
    DECISIONS.took(took);
}

/// An attempt has ended.
pub fn attempted(attempt: Attempt, took: Duration) {
    ATTEMPTS.with(&attempt, |times| times.took(took));
}

/// Shows them.
pub(super) fn show(text: &mut Text) {
    let help = "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be \
                scheduled, while 'error' means an internal scheduler problem.";
    let mut group = text.group("scheduler_schedule_attempts_total", "counter", help);
    for (attempt, times) in ATTEMPTS.all() {
        group.count(&attempt.pairs(), times.count());
    }
    let name = "scheduler_scheduling_attempt_duration_seconds";
    text.histograms(name, "Scheduling attempt latency in seconds (scheduling algorithm + binding)", &ATTEMPTS);
    let name = "scheduler_scheduling_algorithm_duration_seconds";
    let help = "Scheduling algorithm latency in seconds";
    text.group(name, "histogram", help).histogram::<&str>(&[], &DECISIONS);
    let help = "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'unschedulable' \
                means number of pods in unschedulablePods that the scheduler attempted to schedule and failed.";
    let mut group = text.group("scheduler_pending_pods", "gauge", help);
    group.level(&[("queue", "active")], nodeplane_client::queue::depth(QUEUE));
    group.level(&[("queue", "unschedulable")], UNSCHEDULABLE.get());
}
