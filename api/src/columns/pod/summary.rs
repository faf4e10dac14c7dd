//! A pod in three numbers and a word (upstream `printPod`).

use jiff::Timestamp;
use serde_json::Value;

use crate::columns::{
    age::moment,
    cells::{int_at, items, len, or, str_at},
};

/// All that a summary depends on.
pub(super) const READS: &[&str] = &[
    "/metadata/deletionTimestamp",
    "/spec/containers/*",
    "/spec/initContainers/*/name",
    "/spec/initContainers/*/restartPolicy",
    "/status/phase",
    "/status/reason",
    "/status/conditions/*/type",
    "/status/conditions/*/status",
    "/status/conditions/*/reason",
    "/status/containerStatuses/*/ready",
    "/status/containerStatuses/*/restartCount",
    "/status/containerStatuses/*/state",
    "/status/containerStatuses/*/lastState",
    "/status/initContainerStatuses",
];

/// What all containers together look like.
pub(super) struct Summary {
    /// Containers that are ready.
    pub(super) ready: usize,
    /// Containers that stay: all but the init containers that end.
    pub(super) total: usize,
    /// `Running`, `CrashLoopBackOff`, `Init:0/1`, ...
    pub(super) status: String,
    /// Restarts of the containers that matter now.
    pub(super) restarts: i64,
    /// When the last of those restarts came.
    pub(super) last_restart: Option<Timestamp>,
}

impl Summary {
    /// Reads a pod.
    pub(super) fn of(pod: &Value) -> Self {
        let sidecars = items(pod, "/spec/initContainers").filter(|container| stays(container)).count();
        let mut summary = Self {
            ready: 0,
            total: items(pod, "/spec/containers").count() + sidecars,
            status: overall(pod),
            restarts: 0,
            last_restart: None,
        };
        let stopped_at = summary.look_at_init_containers(pod);
        // What comes after the first one that is not through has not been started.
        let looked_at = init_statuses(pod).take(stopped_at.map_or(usize::MAX, |index| index + 1));
        if stopped_at.is_none() || has_condition(pod, "Initialized") {
            summary.count(looked_at.filter(|(stays, _)| *stays).map(|(_, status)| status));
            summary.look_at_containers(pod);
        } else {
            summary.count(looked_at.map(|(_, status)| status));
        }
        if !str_at(pod, "/metadata/deletionTimestamp").is_empty() {
            summary.look_at_deletion(pod);
        }
        summary
    }

    /// Names the first init container that is not through yet, and gives its index.
    fn look_at_init_containers(&mut self, pod: &Value) -> Option<usize> {
        for (index, (stays, status)) in init_statuses(pod).enumerate() {
            let state = &status["state"];
            let has_ended = state["terminated"].is_object();
            if has_ended && int_at(state, "/terminated/exitCode") == 0 {
                continue;
            }
            if stays && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            let waits_for = str_at(state, "/waiting/reason");
            let word = if has_ended {
                ending(state)
            } else if waits_for.is_empty() || waits_for == "PodInitializing" {
                format!("{index}/{}", len(pod, "/spec/initContainers"))
            } else {
                waits_for.to_owned()
            };
            self.status = format!("Init:{word}");
            return Some(index);
        }
        None
    }

    /// Names the first container that waits or has ended.
    fn look_at_containers(&mut self, pod: &Value) {
        let statuses = || items(pod, "/status/containerStatuses");
        self.count(statuses());
        let mut runs = false;
        for status in statuses().rev() {
            let state = &status["state"];
            if !str_at(state, "/waiting/reason").is_empty() {
                str_at(state, "/waiting/reason").clone_into(&mut self.status);
            } else if state["terminated"].is_object() {
                self.status = ending(state);
            } else if status["ready"] == true && state["running"].is_object() {
                runs = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" && runs {
            self.status = if has_condition(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn look_at_deletion(&mut self, pod: &Value) {
        let is_terminal = matches!(str_at(pod, "/status/phase"), "Succeeded" | "Failed");
        if pod["status"]["reason"] == "NodeLost" {
            "Unknown".clone_into(&mut self.status);
        } else if !is_terminal {
            "Terminating".clone_into(&mut self.status);
        }
    }

    fn count<'a>(&mut self, statuses: impl Iterator<Item = &'a Value>) {
        for status in statuses {
            self.restarts += int_at(status, "/restartCount");
            self.last_restart = self.last_restart.max(moment(status, "/lastState/terminated/finishedAt"));
        }
    }
}

/// The word before any container is looked at.
fn overall(pod: &Value) -> String {
    let is_gated = |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    if items(pod, "/status/conditions").any(is_gated) {
        return "SchedulingGated".to_owned();
    }
    or(str_at(pod, "/status/reason"), str_at(pod, "/status/phase")).to_owned()
}

/// Statuses of the init containers, each with whether its container stays.
fn init_statuses(pod: &Value) -> impl Iterator<Item = (bool, &Value)> {
    items(pod, "/status/initContainerStatuses").map(|status| {
        let container = items(pod, "/spec/initContainers").find(|container| container["name"] == status["name"]);
        (container.is_some_and(stays), status)
    })
}

/// Whether an init container goes on besides the others.
fn stays(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// Why a container has ended.
fn ending(state: &Value) -> String {
    match (str_at(state, "/terminated/reason"), int_at(state, "/terminated/signal")) {
        ("", 0) => format!("ExitCode:{}", int_at(state, "/terminated/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn has_condition(pod: &Value, name: &str) -> bool {
    items(pod, "/status/conditions").any(|condition| condition["type"] == name && condition["status"] == "True")
}
