use super::*;

#[test]
fn a_leader_is_one_as_long_as_its_lease() {
    let lease = json!({
        "holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z",
    });
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    assert!(holds(&lease, at("2026-01-01T00:00:14Z")));
    assert!(!holds(&lease, at("2026-01-01T00:00:15Z")));
    let left = json!({ "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00Z" });
    assert!(!holds(&left, at("2026-01-01T00:00:00Z")));
    assert!(!holds(&Value::Null, at("2026-01-01T00:00:00Z")));
}
