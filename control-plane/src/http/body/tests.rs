//! Any bytes: a document or an error, never more than that.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Short ones read back exactly; what is longer is a matter of the reader of numbers.
        (-1000i32..1000).prop_map(|number| Value::from(f64::from(number) / 8.0)),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c~/.\"\\\\]{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn documents_read_back_as_they_were(value in value()) {
        let json = from_json(value.to_string().as_bytes()).unwrap();
        prop_assert_eq!((&json.value, json.duplicates.len()), (&value, 0));
        let yaml = from_yaml(serde_yaml::to_string(&value).unwrap().as_bytes()).unwrap();
        prop_assert_eq!(yaml.value, value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (from_json(&bytes), from_yaml(&bytes));
    }
}

#[test]
fn fields_that_stand_twice_are_told_with_their_path() {
    let document = from_json(br#"{"a":1,"b":[{"c":1,"c":2}],"a":{"d":1,"d":2}}"#).unwrap();
    assert_eq!(document.value, json!({ "a": { "d": 2 }, "b": [{ "c": 2 }] }));
    assert_eq!(document.duplicates, ["b[0].c", "a.d", "a"]);
}
