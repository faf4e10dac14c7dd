//! What a job forgives, and what it takes for success.

#![expect(clippy::needless_pass_by_value, reason = "cases are written where they are used")]

use serde_json::{Value, json};

use super::{check, refused};

fn failure(rule: Value) -> [(&'static str, Value); 1] {
    [("/spec/podFailurePolicy", json!({ "rules": [rule] }))]
}

fn codes(operator: &str, values: &[i64]) -> Value {
    json!({ "action": "FailJob", "onExitCodes": { "operator": operator, "values": values } })
}

#[test]
fn a_rule_about_failed_pods_is_about_codes_or_conditions() {
    let rule = "spec.podFailurePolicy.rules[0]";
    let pattern = |status: &str| json!([{ "type": "DisruptionTarget", "status": status }]);
    check(&[
        (&failure(codes("In", &[1, 42])), &[]),
        (&failure(json!({ "action": "Ignore", "onPodConditions": pattern("True") })), &[]),
        (
            &failure(json!({ "action": "Ignore" })),
            &[&format!("{rule}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required")],
        ),
        (
            &failure(json!({ "action": "Ignore", "onPodConditions": pattern("True"),
                             "onExitCodes": { "operator": "In", "values": [1] } })),
            &[&format!("{rule}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported")],
        ),
        (
            &failure(json!({ "action": "Panic", "onPodConditions": pattern("Maybe") })),
            &[
                &format!(
                    "{rule}.action: Unsupported value: \"Panic\": supported values: \"Count\", \"FailIndex\", \
                     \"FailJob\", \"Ignore\""
                ),
                &format!(
                    "{rule}.onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \
                     \"True\", \"Unknown\""
                ),
            ],
        ),
        (
            &failure(json!({ "action": "", "onPodConditions": pattern("True") })),
            &[&format!(
                "{rule}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"
            )],
        ),
        (
            &failure(json!({ "action": "FailIndex", "onPodConditions": pattern("True") })),
            &[&format!("{rule}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set")],
        ),
    ]);
    let onfailure = [&failure(codes("In", &[1]))[..], &[("/spec/template/spec/restartPolicy", json!("OnFailure"))]];
    let expected = "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when \
                    podFailurePolicy is specified";
    assert_eq!(refused(&onfailure.concat()), [expected]);
    let many: Vec<Value> = (1..=21).map(|code| codes("In", &[code])).collect();
    let said = refused(&[("/spec/podFailurePolicy", json!({ "rules": many }))]);
    assert_eq!(said, ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"]);
}

#[test]
fn exit_codes_are_few_and_in_order() {
    let at = "spec.podFailurePolicy.rules[0].onExitCodes";
    check(&[
        (
            &failure(codes("In", &[3, 0, 3])),
            &[
                &format!("{at}.values[1]: Invalid value: 0: must not be 0 for the In operator"),
                &format!("{at}.values[2]: Duplicate value: 3"),
                &format!("{at}.values: Invalid value: []int32{{3, 0, 3}}: must be ordered"),
            ],
        ),
        (&failure(codes("NotIn", &[0])), &[]),
        (
            &failure(codes("In", &[])),
            &[&format!("{at}.values: Invalid value: []int32{{}}: at least one value is required")],
        ),
        (
            &failure(codes("Near", &[1])),
            &[&format!("{at}.operator: Unsupported value: \"Near\": supported values: \"In\", \"NotIn\"")],
        ),
    ]);
    let mut other = codes("In", &[1]);
    other["onExitCodes"]["containerName"] = "db".into();
    let words = "must be one of the container or initContainer names in the pod template";
    assert_eq!(refused(&failure(other)), [format!("{at}.containerName: Invalid value: \"db\": {words}")]);
}

#[test]
fn success_is_told_by_indexes() {
    let job = |policy: Value| {
        refused(&[
            ("/spec/completionMode", json!("Indexed")),
            ("/spec/completions", json!(5)),
            ("/spec/successPolicy", policy),
        ])
    };
    let rule = |rule: Value| job(json!({ "rules": [rule] }));
    let at = "spec.successPolicy.rules[0]";
    assert_eq!(rule(json!({ "succeededIndexes": "0,2-4", "succeededCount": 3 })), Vec::<String>::new());
    let words = "at least one rules must be specified when the successPolicy is specified";
    assert_eq!(job(json!({ "rules": [] })), [format!("spec.successPolicy.rules: Required value: {words}")]);
    let words = "at least one of succeededCount or succeededIndexes must be specified";
    assert_eq!(rule(json!({})), [format!("{at}: Required value: {words}")]);
    for (indexes, why) in [
        ("5", "too large index: \"5\""),
        ("2-1", "non-increasing order, previous: 2, current: 1"),
        ("1,1", "non-increasing order, previous: 1, current: 1"),
        ("a", "cannot convert string to integer for index: \"a\""),
        (
            "1-2-3",
            "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts \
             separated by '-'",
        ),
    ] {
        let expected =
            format!("{at}.succeededIndexes: Invalid value: \"{indexes}\": error parsing succeededIndexes: {why}");
        assert_eq!(rule(json!({ "succeededIndexes": indexes })), [expected]);
    }
    assert_eq!(
        rule(json!({ "succeededIndexes": "0-1", "succeededCount": 6 })),
        [
            format!(
                "{at}.succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified \
                 completions)"
            ),
            format!(
                "{at}.succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the \
                 specified succeededIndexes field)"
            ),
        ]
    );
    let plain = refused(&[("/spec/successPolicy", json!({ "rules": [{ "succeededCount": 1 }] }))]);
    assert!(plain.len() == 1 && plain[0].ends_with("requires indexed completion mode"), "{plain:?}");
}
