//! Columns of Ingresses, their classes, and NetworkPolicies.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{self, NONE, items, str_at},
    network::balancer,
};
use crate::selector::format_label_selector;

/// Hosts that a cell shows.
const SHOWN: usize = 3;

pub(crate) const INGRESS_CLASS: &[Column] = &[
    NAME,
    Column::text("Controller", "Who serves Ingresses of the class.", |class, _| cells::text(class, "/spec/controller")),
    Column::text("Parameters", "What the controller is told.", |class, _| parameters(class).into()),
    AGE,
];

pub(crate) const INGRESS: &[Column] = &[
    NAME,
    Column::text("Class", "Its class.", |ingress, _| match ingress.pointer("/spec/ingressClassName") {
        Some(class) => class.clone(),
        None => NONE.into(),
    }),
    Column::text("Hosts", "Hosts that it is for.", |ingress, _| hosts(ingress).into()),
    Column::text("Address", "Where it is reached.", |ingress, _| balancer(ingress).join(",").into()),
    Column::text("Ports", "Ports at which it is reached.", |ingress, _| {
        if cells::len(ingress, "/spec/tls") > 0 { "80, 443".into() } else { "80".into() }
    }),
    AGE,
];

pub(crate) const NETWORK_POLICY: &[Column] = &[
    NAME,
    Column::text("Pod-Selector", "Pods that it is for.", |policy, _| {
        format_label_selector(&policy["spec"]["podSelector"]).into()
    }),
    AGE,
];

fn parameters(class: &Value) -> String {
    let Some(parameters) = class.pointer("/spec/parameters") else { return NONE.to_owned() };
    let (kind, name) = (str_at(parameters, "/kind"), str_at(parameters, "/name"));
    match parameters["apiGroup"].as_str() {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

/// The first few hosts. A rule after these counts, with a host or without.
fn hosts(ingress: &Value) -> String {
    let all = || items(ingress, "/spec/rules").map(|rule| str_at(rule, "/host"));
    let shown: Vec<&str> = all().filter(|host| !host.is_empty()).take(SHOWN).collect();
    if shown.is_empty() {
        return "*".to_owned();
    }
    let full_at = all().enumerate().filter(|(_, host)| !host.is_empty()).nth(SHOWN - 1).map(|(at, _)| at);
    let count = all().count();
    match full_at {
        Some(at) if at + 1 < count => format!("{} + {} more...", shown.join(","), count - SHOWN),
        _ => shown.join(","),
    }
}
