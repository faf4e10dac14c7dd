//! What was measured, as a table for people and as JSON for programs.

use std::fmt;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::rows::{RECORDED, ROWS, Row};

/// The figures of some runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured(Vec<Map<String, Value>>);

impl Measured {
    /// Takes in one run.
    pub(super) fn add(&mut self, figures: Map<String, Value>) {
        self.0.push(figures);
    }

    /// A figure of every run that has it, in order of size.
    fn samples(&self, name: &str) -> Vec<f64> {
        let mut samples: Vec<f64> = self.0.iter().filter_map(|run| run.get(name)?.as_f64()).collect();
        samples.sort_by(f64::total_cmp);
        samples
    }

    fn curve(&self) -> Option<&Vec<Value>> {
        self.0.first()?.get("curve")?.as_array()
    }
}

/// The middle one of samples in order; of two middle ones their mean.
fn median(samples: &[f64]) -> Option<f64> {
    let middle = samples.len() / 2;
    let upper = *samples.get(middle)?;
    Some(if samples.len() % 2 == 1 { upper } else { f64::midpoint(samples[middle - 1], upper) })
}

/// All that is known after the last run.
#[derive(Debug)]
pub(super) struct Report {
    /// Where ours kept objects.
    pub(super) store: &'static str,
    /// How many pods the large lists had.
    pub(super) pods: u32,
    pub(super) ours: Measured,
    pub(super) peers: Measured,
}

impl Report {
    /// The peer's figure of a row: measured if it was, else recorded.
    fn peer(&self, row: &Row) -> Option<f64> {
        median(&self.peers.samples(row.name)).or(row.recorded)
    }

    /// Everything, with all samples.
    ///
    /// # Errors
    /// When the machine cannot be read.
    pub(super) fn to_json(&self) -> Result<Value> {
        let rows = ROWS.iter().filter_map(|row| {
            let samples = self.ours.samples(row.name);
            let (ours, peer) = (median(&samples)?, self.peer(row));
            Some(json!({
                "name": row.name, "label": row.label, "unit": row.unit, "median": ours, "samples": samples,
                "peer": peer, "peer_samples": self.peers.samples(row.name), "target": row.target(peer),
                "met": row.is_met(ours, peer),
            }))
        });
        Ok(json!({
            "machine": machine()?,
            "store": self.store,
            "pods": self.pods,
            "peer": if self.peers.0.is_empty() { RECORDED } else { "measured beside ours" },
            "rows": rows.collect::<Vec<_>>(),
            "curve": self.ours.curve(),
            "runs": self.ours.0,
        }))
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.peers.0.is_empty() { "recorded" } else { "measured" };
        writeln!(f, "{:32} {:>12} {:>19} {source:>12} {:>8} {:>12}", "", "ours", "least to most", "ratio", "target")?;
        let (mut met, mut told) = (0, 0);
        for row in ROWS {
            let samples = self.ours.samples(row.name);
            let Some(ours) = median(&samples) else { continue };
            let peer = self.peer(row);
            let with_unit = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{} {}", short(v), row.unit));
            let spread = format!("{} to {}", short(samples[0]), short(samples[samples.len() - 1]));
            let ratio = peer.map_or("-".to_owned(), |peer| format!("{:.1}", row.ratio(ours, peer)));
            let verdict = match row.is_met(ours, peer) {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "",
            };
            (met, told) = (met + usize::from(verdict == "met"), told + 1);
            let (ours, peer, target) = (with_unit(Some(ours)), with_unit(peer), with_unit(row.target(peer)));
            writeln!(f, "{:32} {ours:>12} {spread:>19} {peer:>12} {ratio:>8} {target:>12}  {verdict}", row.label)?;
        }
        write!(f, "\n{met} of {told} met; store: {}, {} pods, median of {}", self.store, self.pods, self.ours.0.len())?;
        if self.peers.0.is_empty() {
            write!(f, "\nrecorded: {RECORDED}")?;
        }
        Ok(())
    }
}

/// The columns of a curve: field and heading.
const CURVE: [(&str, &str); 8] = [
    ("pods", "pods"),
    ("memory_mib", "MiB"),
    ("memory_per_pod_kib", "KiB per pod"),
    ("create_64_rate", "creates/s (64)"),
    ("create_p50_ms", "create ms"),
    ("get_p50_ms", "get ms"),
    ("patch_p50_ms", "patch ms"),
    ("page_of_500_p50_ms", "page of 500 ms"),
];

fn write_curve(f: &mut fmt::Formatter<'_>, points: &[Value]) -> fmt::Result {
    for (_, heading) in CURVE {
        write!(f, "{heading:>16}")?;
    }
    for point in points {
        writeln!(f)?;
        for (field, _) in CURVE {
            write!(f, "{:>16}", short(point[field].as_f64().unwrap_or(f64::NAN)))?;
        }
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ours.curve() {
            Some(points) => write_curve(f, points),
            None => self.write_rows(f),
        }
    }
}

/// Three digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What it was measured on.
fn machine() -> Result<Value> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?.get();
    Ok(json!({ "cores": cores, "cpu": model.map(|(_, model)| model), "kernel": kernel.trim() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, samples: &[f64]) -> Measured {
        Measured(samples.iter().map(|sample| Map::from_iter([(name.to_owned(), json!(sample))])).collect())
    }

    fn report(ours: Measured, peers: Measured) -> Report {
        Report { store: "embedded", pods: 10_000, ours, peers }
    }

    #[test]
    fn a_row_tells_ours_its_spread_the_peers_and_the_verdict() {
        let told = report(measured("create_1_rate", &[1500.0, 1200.0, 1300.0]), Measured::default()).to_string();
        let line = told.lines().find(|line| line.starts_with("create pods, 1 client")).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(4).collect();
        assert_eq!(words.join(" "), "1300 /s 1200 to 1500 402 /s 3.2 1206 /s met");
        assert!(told.contains("1 of 1 met") && told.contains("recorded: kube-apiserver 1.36"), "{told}");
    }

    #[test]
    fn a_peer_that_was_measured_counts_instead_of_the_recorded_one() {
        let report = report(measured("get_1_p50_ms", &[0.3]), measured("get_1_p50_ms", &[0.8, 1.0]));
        let row = &report.to_json().unwrap()["rows"][0];
        assert_eq!((row["peer"].as_f64(), row["met"].as_bool()), (Some(0.9), Some(true)));
        assert!(!report.to_string().contains("recorded"), "{report}");
    }

    #[test]
    fn a_curve_is_told_point_by_point() {
        let run = json!({ "curve": [{ "pods": 1000, "get_p50_ms": 0.2 }, { "pods": 3000, "get_p50_ms": 0.21 }] });
        let Value::Object(run) = run else { unreachable!("it is an object") };
        let told = report(Measured(vec![run]), Measured::default()).to_string();
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.lines().nth(2).unwrap().contains("0.21"), "{told}");
    }
}
