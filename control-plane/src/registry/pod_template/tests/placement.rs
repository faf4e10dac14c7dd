//! What is wrong with where a pod wants to be.

use serde_json::{Value, json};

use super::{check, created, with};
use crate::registry::{cases::refused, core::pod::PodStrategy};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn said(field: &str, value: Value) -> Vec<String> {
    refused(&PodStrategy, &with(&[(field, value)]))
}

#[test]
fn nodes_are_asked_for_with_terms_that_can_match() {
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let required = |terms: Value| said("/spec/affinity", json!({ "nodeAffinity": { REQUIRED: terms } }));
    let term = |term: Value| required(json!({ "nodeSelectorTerms": [term] }));
    let expression = |expression: Value| term(json!({ "matchExpressions": [expression] }));
    let field = |field: Value| term(json!({ "matchFields": [field] }));
    let none: [&str; 0] = [];
    assert_eq!(
        required(json!({ "nodeSelectorTerms": [] })),
        [format!("{at}: Required value: must have at least one node selector term")]
    );
    assert_eq!(term(json!({})), none);
    assert_eq!(expression(json!({ "key": "zone", "operator": "In", "values": ["a"] })), none);
    assert_eq!(expression(json!({ "key": "cores", "operator": "Gt", "values": ["4"] })), none);
    assert_eq!(
        expression(json!({ "key": "zone", "operator": "In" })),
        [format!(
            "{at}[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        )]
    );
    assert_eq!(
        expression(json!({ "key": "zone", "operator": "Exists", "values": ["a"] })),
        [format!(
            "{at}[0].matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or \
         'DoesNotExist'"
        )]
    );
    assert_eq!(
        expression(json!({ "key": "cores", "operator": "Lt", "values": ["1", "2"] })),
        [format!(
            "{at}[0].matchExpressions[0].values: Required value: must be specified single value when `operator` is 'Lt' or \
         'Gt'"
        )]
    );
    assert_eq!(
        expression(json!({ "key": "zone", "operator": "Like" })),
        [format!("{at}[0].matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator")]
    );
    assert!(
        expression(json!({ "key": "", "operator": "Exists" }))[0]
            .starts_with(&format!("{at}[0].matchExpressions[0].key: Invalid value: \"\": name part must be non-empty"))
    );
    assert!(expression(json!({ "key": "zone", "operator": "In", "values": ["a", "b c"] }))[0].starts_with(&format!(
        "{at}[0].matchExpressions[0].values[1]: Invalid value: \"b c\": a valid label must be an empty string or"
    )));
    assert_eq!(field(json!({ "key": "metadata.name", "operator": "In", "values": ["n"] })), none);
    assert_eq!(
        field(json!({ "key": "metadata.name", "operator": "NotIn", "values": ["n", "m"] })),
        [format!(
            "{at}[0].matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for \
         node field selector"
        )]
    );
    assert_eq!(
        field(json!({ "key": "metadata.uid", "operator": "Exists" })),
        [
            format!("{at}[0].matchFields[0].operator: Invalid value: \"Exists\": not a valid selector operator"),
            format!("{at}[0].matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field selector key"),
        ]
    );
}

#[test]
fn preferences_weigh_1_to_100() {
    let term = json!({ "topologyKey": "zone", "labelSelector": {} });
    let of = |weight: i64| {
        let affinity = json!({
            "nodeAffinity": { PREFERRED: [{ "weight": weight, "preference": { "matchExpressions": [
                { "key": "a", "operator": "Exists" }] } }] },
            "podAffinity": { PREFERRED: [{ "weight": weight, "podAffinityTerm": term }] },
            "podAntiAffinity": { PREFERRED: [{ "weight": weight, "podAffinityTerm": term }] },
        });
        said("/spec/affinity", affinity)
    };
    let fault = |affinity: &str, weight: i64| {
        format!("spec.affinity.{affinity}.{PREFERRED}[0].weight: Invalid value: {weight}: must be in the range 1-100")
    };
    for good in [1, 100] {
        assert_eq!(of(good), Vec::<String>::new());
    }
    for bad in [0, 101, -1] {
        assert_eq!(of(bad), ["nodeAffinity", "podAffinity", "podAntiAffinity"].map(|affinity| fault(affinity, bad)));
    }
}

#[test]
fn neighbours_are_asked_for_with_a_topology_and_a_selector() {
    let at = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    let term = |term: Value| said("/spec/affinity", json!({ "podAntiAffinity": { REQUIRED: [term] } }));
    let web = json!({ "matchLabels": { "app": "web" } });
    assert_eq!(term(json!({ "topologyKey": "zone", "labelSelector": web, "namespaces": ["a"] })), [""; 0]);
    let without_key = term(json!({ "labelSelector": web }));
    assert_eq!(without_key[0], format!("{at}.topologyKey: Required value: can not be empty"));
    assert!(without_key[1].starts_with(&format!("{at}.topologyKey: Invalid value: \"\": name part must be non-empty")));
    let wrong = term(json!({ "topologyKey": "zone", "namespaces": ["A"],
        "labelSelector": { "matchExpressions": [{ "key": "app", "operator": "In" }] },
        "namespaceSelector": { "matchExpressions": [{ "key": "app", "operator": "Gt", "values": ["1"] }] } }));
    assert_eq!(
        wrong[..2],
        [
            format!(
                "{at}.labelSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or \
             'NotIn'"
            ),
            format!(
                "{at}.namespaceSelector.matchExpressions[0].operator: Invalid value: \"Gt\": not a valid selector operator"
            ),
        ]
    );
    assert!(wrong[2].starts_with(&format!("{at}.namespace: Invalid value: \"A\": a lowercase RFC 1123 label")));
    assert_eq!(wrong.len(), 3);
}

#[test]
fn label_keys_come_with_a_selector_that_does_not_name_them() {
    let at = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    let term = |fields: Value| {
        let mut term = json!({ "topologyKey": "zone" });
        json_patch::merge(&mut term, &fields);
        let labels = ("/metadata/labels", json!({ "hash": "1" }));
        let affinity = ("/spec/affinity", json!({ "podAffinity": { REQUIRED: [term] } }));
        refused(&PodStrategy, &with(&[labels, affinity]))
    };
    assert_eq!(term(json!({ "labelSelector": {}, "matchLabelKeys": ["hash"] })), [""; 0]);
    assert_eq!(
        term(json!({ "matchLabelKeys": ["hash"], "mismatchLabelKeys": ["other"] })),
        [
            format!("{at}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"),
            format!("{at}.mismatchLabelKeys: Forbidden: must not be specified when labelSelector is not set"),
        ]
    );
    assert_eq!(
        term(json!({ "labelSelector": { "matchLabels": { "hash": "2" } }, "matchLabelKeys": ["hash"] })),
        [format!("{at}[0]: Invalid value: \"hash\": exists in both matchLabelKeys and labelSelector")]
    );
    assert_eq!(
        term(json!({ "labelSelector": {}, "matchLabelKeys": ["a"], "mismatchLabelKeys": ["a"] })),
        [format!("{at}.matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and mismatchLabelKeys")]
    );
}

#[test]
fn selectors_of_neighbours_take_the_pods_own_labels() {
    let term = json!({ "topologyKey": "zone", "labelSelector": { "matchExpressions": [
        { "key": "app", "operator": "Exists" }] }, "matchLabelKeys": ["hash", "none"], "mismatchLabelKeys": ["tenant"] });
    let without = json!({ "topologyKey": "zone", "matchLabelKeys": ["hash"] });
    let spec = created(&[
        ("/metadata/labels", json!({ "hash": "1", "tenant": "t" })),
        (
            "/spec/affinity",
            json!({
                "podAffinity": { REQUIRED: [term, without], PREFERRED: [{ "weight": 1, "podAffinityTerm": term }] },
                "podAntiAffinity": { REQUIRED: [{ "topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["hash"] }] },
            }),
        ),
    ]);
    let narrowed = json!([
        { "key": "app", "operator": "Exists" },
        { "key": "hash", "operator": "In", "values": ["1"] },
        { "key": "tenant", "operator": "NotIn", "values": ["t"] },
    ]);
    let affinity = &spec["affinity"];
    assert_eq!(affinity["podAffinity"][REQUIRED][0]["labelSelector"]["matchExpressions"], narrowed);
    assert_eq!(affinity["podAffinity"][REQUIRED][1], without, "what selects nothing stays so");
    assert_eq!(affinity["podAffinity"][PREFERRED][0]["podAffinityTerm"]["labelSelector"]["matchExpressions"], narrowed);
    assert_eq!(affinity["podAntiAffinity"][REQUIRED][0]["labelSelector"]["matchExpressions"], json!([narrowed[1]]));
}

#[test]
fn spreading_constraints_make_sense() {
    let constraint = |fields: Value| {
        let mut constraint = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                                     "labelSelector": { "matchLabels": { "app": "web" } } });
        json_patch::merge(&mut constraint, &fields);
        ("/spec/topologySpreadConstraints", json!([constraint]))
    };
    let twice = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway" });
    check(&[
        (&[constraint(json!({ "minDomains": 2, "nodeTaintsPolicy": "Honor", "matchLabelKeys": ["hash"] }))], &[]),
        (
            &[constraint(json!({ "maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Never" }))],
            &[
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
                "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \
             \"DoNotSchedule\", \"ScheduleAnyway\"",
            ],
        ),
        (
            &[("/spec/topologySpreadConstraints", json!([twice, twice]))],
            &["spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \
             \"{zone, ScheduleAnyway}\""],
        ),
        (
            &[constraint(json!({ "minDomains": 0 }))],
            &["spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero"],
        ),
        (
            &[constraint(json!({ "minDomains": 2, "whenUnsatisfiable": "ScheduleAnyway" }))],
            &["spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"],
        ),
        (
            &[constraint(json!({ "nodeAffinityPolicy": "Maybe", "nodeTaintsPolicy": "Maybe" }))],
            &[
                "spec.topologySpreadConstraints[0].nodeAffinityPolicy: Unsupported value: \"Maybe\": supported values: \
             \"Honor\", \"Ignore\"",
                "spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: \"Maybe\": supported values: \
             \"Honor\", \"Ignore\"",
            ],
        ),
        (
            &[constraint(json!({ "matchLabelKeys": ["app"] }))],
            &[
                "spec.topologySpreadConstraints[0].matchLabelKeys[0]: Invalid value: \"app\": exists in both matchLabelKeys \
             and labelSelector",
            ],
        ),
        (
            &[constraint(json!({ "matchLabelKeys": ["hash"], "labelSelector": null }))],
            &[
                "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is \
             not set",
            ],
        ),
        (
            &[constraint(json!({ "labelSelector": { "matchExpressions": [{ "key": "a", "operator": "Like" }] } }))],
            &[
                "spec.topologySpreadConstraints[0].labelSelector.matchExpressions[0].operator: Invalid value: \"Like\": not \
             a valid selector operator",
            ],
        ),
    ]);
}
