use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kinds;

fn labels(text: &str) -> LabelSelector {
    LabelSelector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn label_selectors_match_as_written() {
    let object = json!({ "app": "web", "tier": "front", "size": "5", "empty": "" });
    for (text, expected) in [
        ("", true),
        ("app=web", true),
        ("app==web", true),
        ("app = web , tier in (front, back)", true),
        ("app!=web", false),
        ("missing!=web", true),
        ("tier in (front,back)", true),
        ("tier in (back)", false),
        ("tier notin (back)", true),
        ("missing notin (back)", true),
        ("missing in (back)", false),
        ("app", true),
        ("!app", false),
        ("!missing", true),
        ("size>4", true),
        ("size>5", false),
        ("size<6,size>1", true),
        ("app>4", false),
        ("empty=", true),
        ("empty in ()", true),
        ("empty in (,a)", true),
        ("in in (in, notin)", false),
        ("app in (web),!canary,size", true),
    ] {
        assert_eq!(labels(text).matches(&object), expected, "{text}");
    }
    assert!(!labels("app").matches(&Value::Null));
    assert!(labels("").matches(&Value::Null));
}

#[test]
fn label_selectors_print_what_they_read() {
    for (text, expected) in [
        ("app=web", "app=web"),
        ("b==2,a!=1", "a!=1,b==2"),
        ("t in (b,a,b)", "t in (a,b)"),
        ("t notin (a)", "t notin (a)"),
        ("!x, y", "!x,y"),
        ("n>1,m<2", "m<2,n>1"),
    ] {
        assert_eq!(labels(text).to_string(), expected);
    }
}

#[test]
fn wrong_label_selectors_are_refused_in_the_words_of_upstream() {
    for (text, message) in [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must \
             be an integer",
        ),
    ] {
        assert_eq!(LabelSelector::parse(text).expect_err(text).0, message, "{text}");
    }
    let long = format!("a={}", "x".repeat(64));
    let message = LabelSelector::parse(&long).expect_err("too long").0;
    assert!(message.ends_with("must be no more than 63 characters"), "{message}");
    let message = LabelSelector::parse("-a=b").expect_err("a bad key").0;
    assert!(
        message.starts_with("unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of"),
        "{message}"
    );
}

#[test]
fn label_selector_objects_match() {
    let selector = |value: Value| LabelSelector::from_value(&value).expect("a selector");
    let object = json!({ "app": "web" });
    assert!(!selector(Value::Null).matches(&object));
    assert!(selector(json!({})).matches(&object));
    assert!(selector(json!({ "matchLabels": { "app": "web" } })).matches(&object));
    assert!(!selector(json!({ "matchLabels": { "app": "db" } })).matches(&object));
    let expressions = json!({ "matchExpressions": [
        { "key": "app", "operator": "In", "values": ["web", "db"] }, { "key": "x", "operator": "DoesNotExist" }] });
    assert!(selector(expressions.clone()).matches(&object));
    assert_eq!(format_label_selector(&expressions), "app in (db,web),!x");
    assert_eq!(format_label_selector(&json!({ "matchLabels": { "b": "2", "a": "1" } })), "a=1,b=2");
    assert_eq!(format_label_selector(&json!({})), "<none>");
    let wrong = json!({ "matchExpressions": [{ "key": "a", "operator": "Like" }] });
    assert_eq!(
        LabelSelector::from_value(&wrong),
        Err(SelectorError("\"Like\" is not a valid label selector operator".to_owned()))
    );
    assert!(
        LabelSelector::from_map(&json!({ "app": "web" })).matches_object(&json!({ "metadata": { "labels": object } }))
    );
}

#[test]
fn field_selectors_match_the_fields_of_the_kind() {
    let pods = kinds::by_plural("", "v1", "pods").expect("pods are served");
    let pod = json!({ "metadata": { "name": "p", "namespace": "d" },
                      "spec": { "nodeName": "n1", "hostNetwork": true }, "status": { "phase": "Running" } });
    for (text, expected) in [
        ("", true),
        ("metadata.name=p", true),
        ("metadata.name==p,metadata.namespace!=d", false),
        ("spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed", true),
        ("spec.nodeName=", false),
        ("spec.hostNetwork=true", true),
        ("status.podIP=", true),
        ("spec.nodeName=n\\,1", false),
    ] {
        let selector = FieldSelector::parse(text, pods).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selector.matches(&pod), expected, "{text}");
        assert_eq!(FieldSelector::parse(&selector.to_string(), pods), Ok(selector));
    }
    let bare = json!({ "metadata": {}, "spec": { "nodeName": "" } });
    let unassigned = FieldSelector::parse("spec.nodeName=,spec.hostNetwork=false", pods).expect("fields of pods");
    assert!(unassigned.matches(&bare));
    let by_name = FieldSelector::parse("metadata.name=p", pods).expect("a field of every kind");
    assert_eq!(by_name.exact("metadata.name"), Some("p"));
    assert_eq!(by_name.exact("spec.nodeName"), None);
}

#[test]
fn fields_that_cannot_be_selected_are_refused() {
    let parse = |plural: &str, text: &str| {
        FieldSelector::parse(text, kinds::by_plural("", "v1", plural).expect("served")).expect_err(text).0
    };
    assert_eq!(parse("pods", "spec.image=x"), "field label not supported: spec.image");
    assert_eq!(parse("namespaces", "metadata.namespace=x"), "field label not supported: metadata.namespace");
    assert_eq!(
        parse("configmaps", "data=x"),
        "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    assert_eq!(parse("pods", "spec.nodeName"), "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'");
}

proptest! {
    #[test]
    fn what_prints_parses_to_the_same(
        terms in proptest::collection::vec(("[a-c]", proptest::sample::select(vec!["=", "==", "!=", " in ", " notin "]),
            proptest::collection::vec("[a-z0-9]{0,3}", 1..3)), 0..4),
        exists in proptest::option::of("!?[d-f]"),
    ) {
        let mut words: Vec<String> = terms.iter().map(|(key, operator, values)| match *operator {
            " in " | " notin " => format!("{key}{operator}({})", values.join(",")),
            _ => format!("{key}{operator}{}", values[0]),
        }).collect();
        words.extend(exists);
        let selector = LabelSelector::parse(&words.join(",")).unwrap();
        prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,30}") {
        let _ = LabelSelector::parse(&text);
        let _ = FieldSelector::parse(&text, &kinds::KINDS[0]);
    }

    #[test]
    fn operator_soup_is_read_or_refused(text in "[a-c!=,()<> in]{0,20}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
