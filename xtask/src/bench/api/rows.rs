//! The rows: what the generator calls a figure, what the peer's is, and what ours must be.
//!
//! Pure. A target is three times the peer's throughput, a third of its time, or a number of its own.

/// Where the peer's recorded figures come from.
pub(super) const RECORDED: &str =
    "kube-apiserver 1.36 with etcd 3.6 on a machine with 2 cores shared with the client, TLS, pods of 1 KB";

/// How much better than the peer ours is to be.
const TIMES: f64 = 3.0;

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// As the generator names it.
    pub(super) name: &'static str,
    /// As people read it.
    pub(super) label: &'static str,
    /// Unit of all its figures.
    pub(super) unit: &'static str,
    /// The peer's recorded figure, if there is one.
    pub(super) recorded: Option<f64>,
    /// What ours must be.
    pub(super) aim: Aim,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// So many times the peer's, at least.
    Faster,
    /// So small a part of the peer's, at most.
    Shorter,
    /// At most this, whatever the peer's is.
    AtMost(f64),
}

/// All rows, in the order of the table.
pub(super) const ROWS: &[Row] = &[
    faster("create_1_rate", "create pods, 1 client", 402.0),
    shorter("create_1_p50_ms", "create a pod, p50", "ms", 2.2),
    faster("create_64_rate", "create pods, 64 clients", 1092.0),
    shorter("get_1_p50_ms", "get a pod, p50", "ms", 0.75),
    faster("get_64_rate", "get pods, 64 clients", 4158.0),
    shorter("patch_1_p50_ms", "strategic patch, p50", "ms", 3.0),
    faster("patch_64_rate", "strategic patches, 64 clients", 879.0),
    shorter("list_json_ms", "list all pods, JSON", "ms", 356.0),
    shorter("list_protobuf_ms", "list all pods, protobuf", "ms", 194.0),
    shorter("list_table_ms", "list all pods, Table", "ms", 238.0),
    shorter("list_selected_ms", "list 1 % of them by label", "ms", 14.0),
    shorter("event_200_p50_ms", "event to 200 watchers, p50", "ms", 6.9),
    shorter("event_200_p99_ms", "event to 200 watchers, p99", "ms", 50.0),
    at_most("event_1000_p99_ms", "event to 1,000 watchers, p99", "ms", None, 50.0),
    at_most("ready_ms", "exec to /readyz", "ms", Some(3000.0), 300.0),
    at_most("memory_empty_mib", "memory, empty (PSS)", "MiB", Some(494.0), 60.0),
    at_most("memory_full_mib", "memory, all pods (PSS)", "MiB", Some(1410.0), 150.0),
    shorter("deletecollection_s", "deletecollection of all pods", "s", 30.0),
];

const fn faster(name: &'static str, label: &'static str, recorded: f64) -> Row {
    Row { name, label, unit: "/s", recorded: Some(recorded), aim: Aim::Faster }
}

const fn shorter(name: &'static str, label: &'static str, unit: &'static str, recorded: f64) -> Row {
    Row { name, label, unit, recorded: Some(recorded), aim: Aim::Shorter }
}

const fn at_most(
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    recorded: Option<f64>,
    limit: f64,
) -> Row {
    Row { name, label, unit, recorded, aim: Aim::AtMost(limit) }
}

impl Row {
    /// The figure that ours is held against; none when it follows from a peer's that is not known.
    pub(super) fn target(&self, peer: Option<f64>) -> Option<f64> {
        match self.aim {
            Aim::Faster => peer.map(|peer| peer * TIMES),
            Aim::Shorter => peer.map(|peer| peer / TIMES),
            Aim::AtMost(limit) => Some(limit),
        }
    }

    /// How many times better ours is than the peer's.
    pub(super) fn ratio(&self, ours: f64, peer: f64) -> f64 {
        if self.aim == Aim::Faster { ours / peer } else { peer / ours }
    }

    /// Whether ours is what it must be.
    pub(super) fn is_met(&self, ours: f64, peer: Option<f64>) -> Option<bool> {
        let target = self.target(peer)?;
        Some(if self.aim == Aim::Faster { ours >= target } else { ours <= target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn throughput_is_to_be_three_times_the_peers_and_time_a_third() {
        let (rate, time) = (row("create_64_rate"), row("get_1_p50_ms"));
        assert_eq!((rate.target(rate.recorded), time.target(time.recorded)), (Some(3276.0), Some(0.25)));
        assert_eq!((rate.is_met(3276.0, Some(1092.0)), rate.is_met(3275.0, Some(1092.0))), (Some(true), Some(false)));
        assert_eq!((time.is_met(0.25, Some(0.75)), time.is_met(0.26, Some(0.75))), (Some(true), Some(false)));
        assert_eq!((rate.ratio(2184.0, 1092.0), time.ratio(0.25, 0.75)), (2.0, 3.0));
    }

    #[test]
    fn a_limit_holds_whatever_the_peers_figure_is() {
        let memory = row("memory_empty_mib");
        assert_eq!((memory.is_met(60.0, None), memory.is_met(61.0, Some(1e9))), (Some(true), Some(false)));
        assert_eq!(row("list_json_ms").is_met(1.0, None), None);
    }
}
