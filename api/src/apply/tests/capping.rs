use serde_json::{Value, json};

use super::{at, config_map, fields, kind, managers, written};
use crate::apply::Writer;

/// An object that this many wrote to, one after the other.
fn with_writers(count: i64) -> Value {
    let names: Vec<String> = (0..count).map(|n| format!("m{n:02}")).collect();
    let mut data = json!({});
    let mut object: Option<Value> = None;
    for (second, name) in names.iter().enumerate() {
        data[name] = "x".into();
        let writer = Writer { manager: name, kind: kind("ConfigMap"), part: None, now: at(second as i64) };
        object = Some(written(&writer, object.as_ref(), config_map(data.clone())));
    }
    object.unwrap()
}

#[test]
fn ten_writers_are_not_too_many() {
    assert_eq!(managers(&with_writers(10)).len(), 10);
}

#[test]
fn the_oldest_writers_become_one() {
    let object = with_writers(13);
    let names = managers(&object);
    assert_eq!(names.len(), 10);
    assert_eq!(names[0], "ancient-changes");
    assert_eq!(&names[1..3], ["m04", "m05"]);
    assert_eq!(
        fields(&object, "ancient-changes"),
        &json!({ "f:data": { ".": {}, "f:m00": {}, "f:m01": {}, "f:m02": {}, "f:m03": {} } })
    );
    assert_eq!(object["metadata"]["managedFields"][0]["time"], "2001-09-09T01:46:43Z");
}
