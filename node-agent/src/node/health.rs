//! Which parts of the node are well, and why the others are not.
//!
//! In: what the parts say of themselves. Out: the node's Ready condition, at once when something changes.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

/// A part of the node without which pods cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What runs containers.
    Runtime,
    /// The pods' network.
    Network,
    /// The BPF programs and maps.
    Services,
    /// The DNS server of this node.
    Dns,
    /// What the API server calls.
    Server,
}

/// All of them.
pub const PARTS: [Part; 5] = [Part::Runtime, Part::Network, Part::Services, Part::Dns, Part::Server];

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Well,
    Unwell(String),
}

/// How all parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    states: [State; PARTS.len()],
}

/// A board that every part writes to. Clones are the same board.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<Report>>);

impl Default for Health {
    /// No part has started.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Report { states: PARTS.map(|_| State::Starting) })))
    }
}

impl Health {
    /// A part is well.
    pub fn well(&self, part: Part) {
        if self.set(part, State::Well) {
            info!(part = part.name(), "well");
        }
    }

    /// A part is not well.
    pub fn unwell(&self, part: Part, reason: impl Into<String>) {
        let reason = reason.into();
        if self.set(part, State::Unwell(reason.clone())) {
            warn!(part = part.name(), reason, "not well");
        }
    }

    /// What is known now, and of every change.
    pub fn watch(&self) -> watch::Receiver<Report> {
        self.0.subscribe()
    }

    fn set(&self, part: Part, state: State) -> bool {
        self.0.send_if_modified(|report| {
            let known = &mut report.states[part as usize];
            let news = *known != state;
            *known = state;
            news
        })
    }
}

impl Report {
    /// What is wrong with a part.
    pub fn of(&self, part: Part) -> Option<&str> {
        match &self.states[part as usize] {
            State::Starting => Some("has not started yet"),
            State::Well => None,
            State::Unwell(reason) => Some(reason),
        }
    }

    /// Whether parts have not said yet how they are, and the others are well.
    pub fn is_early(&self) -> bool {
        let is_unwell = |state: &State| matches!(state, State::Unwell(_));
        self.states.contains(&State::Starting) && !self.states.iter().any(is_unwell)
    }

    /// What is wrong with all parts, in one line; nothing when they are well.
    pub fn complaint(&self) -> Option<String> {
        let told = PARTS.iter().filter_map(|part| Some(format!("{}: {}", part.name(), self.of(*part)?)));
        let told: Vec<_> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl Part {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runtime => "container runtime",
            Self::Network => "pod network",
            Self::Services => "service plane",
            Self::Dns => "cluster DNS",
            Self::Server => "server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_has_not_said_anything_is_not_well() {
        let health = Health::default();
        for part in PARTS.into_iter().filter(|part| *part != Part::Dns) {
            health.well(part);
        }
        assert!(health.watch().borrow().is_early());
        let report = health.watch().borrow().clone();
        assert_eq!(report.complaint().as_deref(), Some("cluster DNS: has not started yet"));
        assert_eq!(report.of(Part::Network), None);
    }

    #[test]
    fn changes_are_told_and_repetitions_are_not() {
        let health = Health::default();
        let mut watch = health.watch();
        PARTS.iter().for_each(|part| health.well(*part));
        assert!(watch.has_changed().expect("open"));
        assert_eq!(watch.borrow_and_update().complaint(), None);
        health.well(Part::Dns);
        assert!(!watch.has_changed().expect("open"));
        health.unwell(Part::Runtime, "no answer");
        health.unwell(Part::Network, "no range");
        assert!(!watch.borrow().is_early());
        let told = watch.borrow_and_update().complaint();
        assert_eq!(told.as_deref(), Some("container runtime: no answer; pod network: no range"));
    }
}
