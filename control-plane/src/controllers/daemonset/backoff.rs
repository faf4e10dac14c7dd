//! How long a node rests on which the pod of a set has failed again and again. Pure; the time is a
//! parameter.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;

use crate::controllers::pod_facts::elapsed;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A set as it is written now, and a node. Whoever writes it anew gets a fresh start.
type Place = (String, Option<i64>, String);

/// Failures by place.
#[derive(Default)]
pub struct Backoff {
    failures: HashMap<Place, (Timestamp, Duration)>,
}

impl Backoff {
    /// How long a set still lets a node rest.
    pub fn rest(&self, set: &DaemonSet, node: &str, now: Timestamp) -> Option<Duration> {
        let (since, rest) = self.failures.get(&place(set, node))?;
        Some(rest.saturating_sub(elapsed(*since, now))).filter(|left| !left.is_zero())
    }

    /// Notes a failure: the next rest is twice as long, unless the last failure is long ago.
    pub fn failed(&mut self, set: &DaemonSet, node: &str, now: Timestamp) {
        self.failures.retain(|_, (since, _)| elapsed(*since, now) < 2 * LONGEST);
        let entry = self.failures.entry(place(set, node));
        let (since, rest) = entry.or_insert((now, Duration::ZERO));
        *rest = (*rest * 2).clamp(FIRST, LONGEST);
        *since = now;
    }
}

fn place(set: &DaemonSet, node: &str) -> Place {
    (set.uid().unwrap_or_default(), set.metadata.generation, node.to_owned())
}
