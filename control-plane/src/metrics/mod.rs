//! What the control plane counts, under the names, labels and buckets of Kubernetes 1.33.
//!
//! In: events of the other rooms, each told to the room of its metrics here. Out: Prometheus' text.
//! Labels come from the table of kinds and from lists in this room, never from what a client sends:
//! their number is bounded. Nothing is decided by a number that is counted here.

pub mod build;
pub mod election;
pub mod errands;
pub mod requests;
pub mod scheduling;
pub mod storage;
pub mod watches;

use nodeplane_metrics::{Text, process};

/// The ends of buckets of most durations, in seconds.
const LATENCIES: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// Shows all that this process counts.
pub fn show(text: &mut Text) {
    requests::show(text);
    watches::show(text);
    storage::show(text);
    errands::show(text);
    nodeplane_client::queue::show(text);
    election::show(text);
    scheduling::show(text);
    build::show(text);
    process::show(text);
}

#[cfg(test)]
pub(crate) mod tests {
    /// The number of a sample, such as `up{a="1"}`, in a text; 0 when there is none.
    pub(crate) fn sample(text: &str, name: &str) -> f64 {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map_or(0.0, |number| number.parse().unwrap())
    }
}
