//! Numbers about the agent, in the text form that Prometheus reads. Pure.

use std::fmt::Write as _;

use crate::{dataplane::Verdicts, services::Progress};

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Whether the node is ready.
    pub ready: bool,
    /// Pods bound to this node.
    pub pods: usize,
    /// Pod addresses in use.
    pub addresses: usize,
    /// The Service plane.
    pub services: Progress,
    /// How often the programs reached each verdict.
    pub verdicts: Verdicts,
    /// Bytes of memory that the agent takes.
    pub memory: u64,
}

impl Metrics {
    /// The text.
    pub fn text(&self) -> String {
        let Self { ready, pods, addresses, services, verdicts, memory } = self;
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, value: f64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        };
        gauge("nodeplane_ready", "Whether the node is ready.", f64::from(u8::from(*ready)));
        gauge("nodeplane_pods", "Pods bound to this node.", count(*pods));
        gauge("nodeplane_pod_addresses", "Pod addresses in use.", count(*addresses));
        gauge("process_resident_memory_bytes", "Resident memory of the agent.", *memory as f64);
        if let Some(last) = &services.last {
            gauge("nodeplane_service_frontends", "Service ports that are served.", count(last.frontends));
            gauge("nodeplane_service_backends", "Backends behind them.", count(last.backends));
            let help = "Services and EndpointSlices that are left out, wholly or in part.";
            gauge("nodeplane_service_left_out", help, count(services.left_out.len()));
            let help = "How long the last write of the maps took.";
            gauge("nodeplane_service_sync_seconds", help, last.took.as_secs_f64());
        }
        let _ = writeln!(
            text,
            "# HELP nodeplane_service_syncs_total Changes of Services, by what came of them.\n\
             # TYPE nodeplane_service_syncs_total counter\n\
             nodeplane_service_syncs_total{{outcome=\"taken\"}} {}\n\
             nodeplane_service_syncs_total{{outcome=\"failed\"}} {}\n\
             # HELP nodeplane_verdicts_total What the BPF programs decided.\n\
             # TYPE nodeplane_verdicts_total counter",
            services.syncs, services.failures
        );
        for (verdict, times) in verdicts {
            let _ = writeln!(text, "nodeplane_verdicts_total{{verdict=\"{verdict}\"}} {times}");
        }
        text
    }
}

/// Exact for every number of things that a machine holds.
fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let services = Progress { syncs: 3, failures: 1, ..Progress::default() };
        let verdicts = [("translated", 7)].into();
        let text = Metrics { ready: true, pods: 2, addresses: 2, services, verdicts, memory: 4096 }.text();
        for line in [
            "nodeplane_ready 1",
            "nodeplane_pods 2",
            "process_resident_memory_bytes 4096",
            "nodeplane_service_syncs_total{outcome=\"failed\"} 1",
            "nodeplane_verdicts_total{verdict=\"translated\"} 7",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            let name = name.split('{').next().unwrap_or_default();
            assert!(value.parse::<f64>().is_ok() && text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
