//! Columns of pods.

mod summary;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::summary::Summary;
use super::{
    AGE, Column, NAME, age,
    cells::{self, NONE, items, len, str_at},
};

pub(crate) const POD: &[Column] = &[
    NAME,
    Column::text("Ready", "Containers that are ready, of all that stay.", |pod, _| {
        let Summary { ready, total, .. } = Summary::of(pod);
        format!("{ready}/{total}").into()
    })
    .reads(summary::READS),
    Column::text("Status", "What the containers together are doing.", |pod, _| Summary::of(pod).status.into())
        .reads(summary::READS),
    Column::text("Restarts", "How often containers were started again, and when last.", |pod, now| {
        let Summary { restarts, last_restart, .. } = Summary::of(pod);
        match last_restart {
            Some(then) if restarts != 0 => format!("{restarts} ({} ago)", age::human(now.duration_since(then))).into(),
            _ => restarts.to_string().into(),
        }
    })
    .reads(summary::READS),
    AGE,
    Column::text("IP", "Address of the pod.", |pod, _| cells::text_or(pod, "/status/podIPs/0/ip", NONE))
        .reads(&["/status/podIPs/*/ip"])
        .wide(),
    Column::text("Node", "Node on which the pod runs.", |pod, _| cells::text_or(pod, "/spec/nodeName", NONE))
        .reads(&["/spec/nodeName"])
        .wide(),
    Column::text("Nominated Node", "Node on which room is being made for the pod.", |pod, _| {
        cells::text_or(pod, "/status/nominatedNodeName", NONE)
    })
    .reads(&["/status/nominatedNodeName"])
    .wide(),
    Column::text("Readiness Gates", "Further conditions that are met, of all that must be.", |pod, _| {
        gates(pod).into()
    })
    .reads(&["/spec/readinessGates", "/status/conditions/*/type", "/status/conditions/*/status"])
    .wide(),
];

fn gates(pod: &Value) -> String {
    let total = len(pod, "/spec/readinessGates");
    if total == 0 {
        return NONE.to_owned();
    }
    let is_met = |gate: &&Value| {
        let wanted = str_at(gate, "/conditionType");
        let condition = items(pod, "/status/conditions").find(|condition| condition["type"] == wanted);
        condition.is_some_and(|condition| condition["status"] == "True")
    };
    format!("{}/{total}", items(pod, "/spec/readinessGates").filter(is_met).count())
}
