//! Classes of Ingresses (upstream `ValidateIngressClass`, `ValidateIngressClassUpdate`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use crate::registry::{
    Strategy,
    fields::{At, fill, object_mut},
    metadata::check_immutable,
    pod_template::refuse_all,
};

const CONTROLLER_LIMIT: usize = 250;
const PATH_FORMAT: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";

/// The strategy of IngressClasses.
pub(super) struct IngressClassStrategy;

impl Strategy for IngressClassStrategy {
    fn default(&self, class: &mut Value) {
        if let Some(parameters) = object_mut(class, "spec").and_then(|spec| object_mut(spec, "parameters")) {
            fill(parameters, "scope", "Cluster");
        }
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, class: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(class).field("spec");
        check_controller(&spec.field("controller"), &mut errors);
        let parameters = spec.field("parameters");
        if parameters.is_set() {
            check_reference(&parameters, &mut errors);
            check_scope(&parameters, &mut errors);
        }
        errors
    }

    fn validate_update(&self, class: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let controller = |class| At::root(class).field("spec").field("controller");
        check_immutable(&controller(class), &controller(old), &mut errors);
        errors
    }
}

/// A path with a domain in front: `example.com/ingress`.
fn check_controller(controller: &At<'_>, errors: &mut FieldErrors) {
    let (path, text) = (&controller.path, controller.text());
    if text.is_empty() {
        errors.required(path.clone(), "");
        return;
    }
    if text.len() > CONTROLLER_LIMIT {
        errors.too_long(path.clone(), CONTROLLER_LIMIT);
    }
    let Some((domain, rest)) = text.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        errors.invalid(path.clone(), text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    };
    for words in names::subdomain(domain) {
        errors.invalid(path.clone(), domain, words);
    }
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !rest.bytes().all(is_good) {
        let words = format!("Invalid path (regex used for validation is '{PATH_FORMAT}')");
        errors.invalid(path.clone(), rest, words);
    }
}

/// Adds what is wrong with a reference to an object of any kind.
pub(super) fn check_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    let group = reference.field("apiGroup");
    if group.is_set() {
        refuse_all(&group, names::subdomain(group.text()), errors);
    }
    for field in ["kind", "name"].map(|field| reference.field(field)) {
        match field.text() {
            "" => errors.required(field.path.clone(), ""),
            text => refuse_all(&field, names::path_segment(text), errors),
        }
    }
}

fn check_scope(parameters: &At<'_>, errors: &mut FieldErrors) {
    let (scope, namespace) = (parameters.field("scope"), parameters.field("namespace"));
    match scope.text() {
        "Namespace" if namespace.is_set() => refuse_all(&namespace, names::label_1123(namespace.text()), errors),
        "Namespace" => errors.required(namespace.path, "`parameters.scope` is set to 'Namespace'"),
        "Cluster" if namespace.is_set() => errors.forbidden(namespace.path, "`parameters.scope` is set to 'Cluster'"),
        "Cluster" => {}
        other => errors.not_supported(scope.path.clone(), other, &["Cluster", "Namespace"]),
    }
}
