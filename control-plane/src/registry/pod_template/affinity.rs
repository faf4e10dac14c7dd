//! Which nodes and which neighbours a pod asks for: what is wrong with it (upstream
//! `validateAffinity`), and what becomes of label keys when the pod is made.

use nodeplane_api::{names, status::FieldErrors};
use serde_json::{Value, json};

use super::spec::refuse_all;
use crate::registry::{
    fields::{At, each, object_mut},
    workload::check_label_selector,
};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const NEIGHBOURS: [&str; 2] = ["podAffinity", "podAntiAffinity"];
const UNKNOWN_OPERATOR: &str = "not a valid selector operator";

/// Adds what is wrong with `.spec.affinity`.
pub(super) fn check_affinity(affinity: &At<'_>, errors: &mut FieldErrors) {
    let nodes = affinity.field("nodeAffinity");
    check_required_nodes(&nodes.field(REQUIRED), errors);
    for preferred in nodes.field(PREFERRED).items() {
        check_weight(&preferred.field("weight"), errors);
        check_node_term(&preferred.field("preference"), errors);
    }
    for neighbours in NEIGHBOURS.map(|field| affinity.field(field)) {
        for term in neighbours.field(REQUIRED).items() {
            check_pod_term(&term, errors);
        }
        for preferred in neighbours.field(PREFERRED).items() {
            check_weight(&preferred.field("weight"), errors);
            check_pod_term(&preferred.field("podAffinityTerm"), errors);
        }
    }
}

/// Adds what is wrong with the keys of labels whose values a selector takes from the pod itself.
pub(super) fn check_label_keys(keys: &At<'_>, selector: &At<'_>, errors: &mut FieldErrors) {
    if keys.len() > 0 && !selector.is_set() {
        errors.forbidden(keys.path.clone(), "must not be specified when labelSelector is not set");
        return;
    }
    for key in keys.items() {
        refuse_all(&key, names::qualified(key.text()), errors);
    }
}

/// Writes the pod's own values of `matchLabelKeys` and `mismatchLabelKeys` into the selectors that
/// choose its neighbours. Only what was there when the pod was made counts.
pub(in crate::registry) fn narrow_by_own_labels(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let Some(affinity) = pod.get_mut("spec").and_then(|spec| object_mut(spec, "affinity")) else { return };
    for neighbours in NEIGHBOURS {
        let Some(neighbours) = object_mut(affinity, neighbours) else { continue };
        for term in each(neighbours, REQUIRED) {
            narrow(term, &labels);
        }
        for preferred in each(neighbours, PREFERRED) {
            if let Some(term) = object_mut(preferred, "podAffinityTerm") {
                narrow(term, &labels);
            }
        }
    }
}

fn narrow(term: &mut Value, labels: &Value) {
    let own = |field: &str, operator: &str| -> Vec<Value> {
        let keys = term[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let valued = keys.filter_map(|key| Some((key, labels.get(key)?)));
        valued.map(|(key, value)| json!({ "key": key, "operator": operator, "values": [value] })).collect()
    };
    let narrower = [own("matchLabelKeys", "In"), own("mismatchLabelKeys", "NotIn")].concat();
    // A term without a selector selects nothing, and nothing is not narrowed.
    let Some(selector) = object_mut(term, "labelSelector").filter(|_| !narrower.is_empty()) else { return };
    match selector.get_mut("matchExpressions").and_then(Value::as_array_mut) {
        Some(expressions) => expressions.extend(narrower),
        None => selector["matchExpressions"] = narrower.into(),
    }
}

fn check_weight(weight: &At<'_>, errors: &mut FieldErrors) {
    let number = weight.integer().unwrap_or(0);
    if !(1..=100).contains(&number) {
        errors.invalid(weight.path.clone(), number, "must be in the range 1-100");
    }
}

/// Adds what is wrong with a `NodeSelector`.
pub(in crate::registry) fn check_required_nodes(selector: &At<'_>, errors: &mut FieldErrors) {
    let terms = selector.field("nodeSelectorTerms");
    if selector.is_set() && terms.len() == 0 {
        errors.required(terms.path, "must have at least one node selector term");
        return;
    }
    for term in terms.items() {
        check_node_term(&term, errors);
    }
}

fn check_node_term(term: &At<'_>, errors: &mut FieldErrors) {
    for requirement in term.field("matchExpressions").items() {
        check_node_expression(&requirement, errors);
    }
    for requirement in term.field("matchFields").items() {
        check_node_field(&requirement, errors);
    }
}

fn check_node_expression(requirement: &At<'_>, errors: &mut FieldErrors) {
    let (operator, values) = (requirement.field("operator"), requirement.field("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 0 => {
            errors.required(values.path.clone(), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if values.len() > 0 => {
            errors.forbidden(values.path.clone(), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.required(values.path.clone(), "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(operator.path.clone(), other, UNKNOWN_OPERATOR),
    }
    let key = requirement.field("key");
    for words in names::qualified(key.text()) {
        errors.invalid(key.path.clone(), key.text(), words);
    }
    for value in values.items() {
        refuse_all(&value, names::label_value(value.text()), errors);
    }
}

fn check_node_field(requirement: &At<'_>, errors: &mut FieldErrors) {
    let (operator, values) = (requirement.field("operator"), requirement.field("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            let words = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.required(values.path.clone(), words);
        }
        other => errors.invalid(operator.path.clone(), other, UNKNOWN_OPERATOR),
    }
    let key = requirement.field("key");
    if key.text() != "metadata.name" {
        errors.invalid(key.path.clone(), key.text(), "not a valid field selector key");
        return;
    }
    for value in values.items() {
        refuse_all(&value, names::subdomain(value.text()), errors);
    }
}

fn check_pod_term(term: &At<'_>, errors: &mut FieldErrors) {
    let selector = term.field("labelSelector");
    check_label_selector(&selector, errors);
    check_label_selector(&term.field("namespaceSelector"), errors);
    for namespace in term.field("namespaces").items() {
        for words in names::label_1123(namespace.text()) {
            // Upstream says `namespace` there, without the index.
            errors.invalid(format!("{}.namespace", term.path), namespace.text(), words);
        }
    }
    check_both_label_keys(term, &selector, errors);
    let topology = term.field("topologyKey");
    if topology.text().is_empty() {
        errors.required(topology.path.clone(), "can not be empty");
    }
    for words in names::qualified(topology.text()) {
        errors.invalid(topology.path.clone(), topology.text(), words);
    }
}

fn check_both_label_keys(term: &At<'_>, selector: &At<'_>, errors: &mut FieldErrors) {
    let (matching, differing) = (term.field("matchLabelKeys"), term.field("mismatchLabelKeys"));
    check_label_keys(&matching, selector, errors);
    check_label_keys(&differing, selector, errors);
    // A pod's selector holds each key of `matchLabelKeys` once, from its making; twice means that
    // its maker named the key, too.
    let named = selector.field("matchLabels");
    let mut met: Vec<&str> = named.entries().map(|(key, _)| key).collect();
    for expression in selector.field("matchExpressions").items() {
        let key = expression.field("key").text();
        let index = matching.items().position(|own| own.text() == key);
        if let Some(index) = index.filter(|_| met.contains(&key)) {
            let words = "exists in both matchLabelKeys and labelSelector";
            errors.invalid(format!("{}[{index}]", term.path), key, words);
        }
        met.push(key);
    }
    for key in matching.items().filter(|key| differing.items().any(|other| other.text() == key.text())) {
        errors.invalid(key.path.clone(), key.text(), "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}
