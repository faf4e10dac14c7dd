//! Ingresses (upstream `ValidateIngressCreate`, `ValidateIngressUpdate`).

use std::net::IpAddr;

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::ingress_class::check_reference;
use crate::registry::{Strategy, fields::At, pod_template::refuse_all};

/// How the class was named before there was a field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: [&str; 2] = ["/..", "/."];

/// The strategy of Ingresses.
pub(super) struct IngressStrategy;

impl Strategy for IngressStrategy {
    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, ingress: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(ingress).field("spec");
        let (rules, backend) = (spec.field("rules"), spec.field("defaultBackend"));
        if rules.len() == 0 && !backend.is_set() {
            let words = "either `defaultBackend` or `rules` must be specified";
            errors.invalid_shown(spec.path.clone(), "[]networking.IngressRule(nil)", words);
        }
        if backend.is_set() {
            check_backend(&backend, &mut errors);
        }
        for rule in rules.items() {
            check_rule(&rule, &mut errors);
        }
        for tls in spec.field("tls").items() {
            check_tls(&tls, &mut errors);
        }
        let class = spec.field("ingressClassName");
        if class.is_set() {
            refuse_all(&class, names::subdomain(class.text()), &mut errors);
        }
        errors
    }

    fn validate_create(&self, ingress: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let annotation = ingress["metadata"]["annotations"][CLASS_ANNOTATION].as_str();
        let class = ingress["spec"]["ingressClassName"].as_str();
        if let (Some(annotation), Some(class)) = (annotation, class)
            && annotation != class
        {
            let words = "must match `ingressClassName` when both are specified";
            errors.invalid(format!("annotations.{CLASS_ANNOTATION}"), annotation, words);
        }
        errors
    }

    fn validate_status_update(&self, ingress: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let balancer = At::root(ingress).field("status").field("loadBalancer");
        for point in balancer.field("ingress").items() {
            let (ip, host) = (point.field("ip"), point.field("hostname"));
            if !ip.text().is_empty() && ip.text().parse::<IpAddr>().is_err() {
                let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                errors.invalid(ip.path.clone(), ip.text(), words);
            }
            if !host.text().is_empty() {
                refuse_all(&host, names::subdomain(host.text()), &mut errors);
                refuse_address(&host, &mut errors);
            }
        }
        errors
    }

    fn warnings(&self, ingress: &Value) -> Vec<String> {
        match ingress["metadata"]["annotations"].get(CLASS_ANNOTATION) {
            Some(_) => vec![format!(
                "annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead"
            )],
            None => Vec::new(),
        }
    }
}

fn refuse_address(host: &At<'_>, errors: &mut FieldErrors) {
    if host.text().parse::<IpAddr>().is_ok() {
        errors.invalid(host.path.clone(), host.text(), "must be a DNS name, not an IP address");
    }
}

/// A host, or all hosts of a domain.
fn check_host(host: &At<'_>, errors: &mut FieldErrors) {
    let wrong = match host.text().contains('*') {
        true => names::wildcard_subdomain(host.text()),
        false => names::subdomain(host.text()),
    };
    refuse_all(host, wrong, errors);
}

fn check_rule(rule: &At<'_>, errors: &mut FieldErrors) {
    let host = rule.field("host");
    if !host.text().is_empty() {
        refuse_address(&host, errors);
        check_host(&host, errors);
    }
    let http = rule.field("http");
    if !http.is_set() {
        return;
    }
    let paths = http.field("paths");
    if paths.len() == 0 {
        errors.required(paths.path.clone(), "");
    }
    for path in paths.items() {
        check_path(&path, errors);
    }
}

fn check_path(rule: &At<'_>, errors: &mut FieldErrors) {
    let (path, kind) = (rule.field("path"), rule.field("pathType"));
    if !kind.is_set() {
        errors.required(kind.path, "pathType must be specified");
        return;
    }
    let is_absolute = path.text().starts_with('/');
    let mut refuse = |words: String| errors.invalid(path.path.clone(), path.text(), words);
    match kind.text() {
        "Exact" | "Prefix" => {
            if !is_absolute {
                refuse("must be an absolute path".to_owned());
            }
            for sequence in BAD_SEQUENCES.iter().filter(|sequence| path.text().contains(**sequence)) {
                refuse(format!("must not contain '{sequence}'"));
            }
            for end in BAD_ENDS.iter().filter(|end| path.text().ends_with(**end)) {
                refuse(format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" if path.text().is_empty() || is_absolute => {}
        "ImplementationSpecific" => refuse("must be an absolute path".to_owned()),
        other => errors.not_supported(kind.path, other, &PATH_TYPES),
    }
    check_backend(&rule.field("backend"), errors);
}

fn check_backend(backend: &At<'_>, errors: &mut FieldErrors) {
    let (service, resource) = (backend.field("service"), backend.field("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => {
            errors.invalid(backend.path.clone(), "", "cannot set both resource and service backends");
        }
        (false, true) => check_reference(&resource, errors),
        (true, false) => check_service(&service, &backend.path, errors),
        (false, false) => errors.invalid(backend.path.clone(), "", "resource or service backend is required"),
    }
}

fn check_service(service: &At<'_>, backend: &str, errors: &mut FieldErrors) {
    let name = service.field("name");
    match name.text() {
        "" => errors.required(name.path.clone(), ""),
        text => refuse_all(&name, names::label_1035(text), errors),
    }
    let port = service.field("port");
    let (name, number) = (port.field("name"), port.field("number"));
    match (name.text(), number.integer().unwrap_or(0)) {
        ("", 0) => errors.required(backend, "port name or number is required"),
        ("", value) => refuse_all(&number, names::port_number(value), errors),
        (text, 0) => refuse_all(&name, names::port_name(text), errors),
        _ => errors.invalid(backend, "", "cannot set both port name & port number"),
    }
}

fn check_tls(tls: &At<'_>, errors: &mut FieldErrors) {
    for host in tls.field("hosts").items() {
        check_host(&host, errors);
    }
    let secret = tls.field("secretName");
    if !secret.text().is_empty() {
        refuse_all(&secret, names::subdomain(secret.text()), errors);
    }
}
