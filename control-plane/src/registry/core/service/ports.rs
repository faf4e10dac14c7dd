//! What is wrong with the ports of a Service (upstream `validateServicePort`).

use std::collections::BTreeSet;

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use crate::registry::fields::At;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
/// Where the agents of the nodes listen.
const AGENT_PORT: i64 = 10_250;

/// Nobody outside may reach the agents through a careless load balancer.
pub(super) fn check_reserved_ports(spec: &At<'_>, errors: &mut FieldErrors) {
    for port in spec.field("ports").items().filter(|port| port.field("port").integer() == Some(AGENT_PORT)) {
        let words = format!("may not expose port {AGENT_PORT} externally since it is used by kubelet");
        errors.invalid(port.path, AGENT_PORT, words);
    }
}

/// Adds what is wrong with the ports.
pub(super) fn check_ports(spec: &At<'_>, errors: &mut FieldErrors) {
    let ports = spec.field("ports");
    let is_headless = spec.field("clusterIP").text() == "None";
    let is_external_name = spec.field("type").text() == "ExternalName";
    if ports.len() == 0 && !is_headless && !is_external_name {
        errors.required(ports.path.clone(), "");
    }
    let (mut seen_names, mut seen_ports, mut seen_node_ports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        check_port(&port, ports.len() > 1, &mut seen_names, errors);
        let protocol = port.field("protocol").text();
        let number = port.field("port").integer().unwrap_or(0);
        if !seen_ports.insert((protocol, number)) {
            errors.duplicate_shown(port.path.clone(), show_port(protocol, number));
        }
        check_node_port(spec, &port, protocol, &mut seen_node_ports, errors);
    }
}

fn check_port<'a>(port: &At<'a>, needs_name: bool, seen_names: &mut BTreeSet<&'a str>, errors: &mut FieldErrors) {
    let name = port.field("name");
    match name.text() {
        "" if needs_name => errors.required(name.path, ""),
        "" => {}
        text => {
            for words in names::label_1123(text) {
                errors.invalid(name.path.clone(), text, words);
            }
            if !seen_names.insert(text) {
                errors.duplicate(name.path, text);
            }
        }
    }
    let number = port.field("port");
    for words in names::port_number(number.integer().unwrap_or(0)) {
        errors.invalid(number.path.clone(), number.integer().unwrap_or(0), words);
    }
    check_protocol(&port.field("protocol"), errors);
    check_target(&port.field("targetPort"), errors);
    let app_protocol = port.field("appProtocol");
    if app_protocol.is_set() {
        for words in names::qualified(app_protocol.text()) {
            errors.invalid(app_protocol.path.clone(), app_protocol.text(), words);
        }
    }
}

/// Adds what is wrong with the protocol of a port.
pub(in crate::registry) fn check_protocol(protocol: &At<'_>, errors: &mut FieldErrors) {
    match protocol.text() {
        "" => errors.required(protocol.path.clone(), ""),
        text if PROTOCOLS.contains(&text) => {}
        text => errors.not_supported(protocol.path.clone(), text, &PROTOCOLS),
    }
}

/// Adds what is wrong with a port that is a number or the name of one.
pub(in crate::registry) fn check_target(port: &At<'_>, errors: &mut FieldErrors) {
    let wrong = match port.value {
        Value::String(name) => names::port_name(name),
        other => names::port_number(other.as_i64().unwrap_or(0)),
    };
    for words in wrong {
        errors.invalid(port.path.clone(), port.value.clone(), words);
    }
}

fn check_node_port<'a>(
    spec: &At<'a>,
    port: &At<'a>,
    protocol: &'a str,
    seen: &mut BTreeSet<(&'a str, i64)>,
    errors: &mut FieldErrors,
) {
    let node_port = port.field("nodePort");
    let number = node_port.integer().unwrap_or(0);
    if number == 0 {
        return;
    }
    let kind = spec.field("type").text();
    if kind == "ClusterIP" {
        errors.forbidden(node_port.path.clone(), format!("may not be used when `type` is '{kind}'"));
    }
    if !seen.insert((protocol, number)) {
        errors.duplicate(node_port.path, number);
    }
}

/// A port as Go prints the key of upstream's duplicate check.
fn show_port(protocol: &str, number: i64) -> String {
    format!(
        "core.ServicePort{{Name:\"\", Protocol:\"{protocol}\", AppProtocol:(*string)(nil), Port:{number}, \
         TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:\"\"}}, NodePort:0}}"
    )
}
