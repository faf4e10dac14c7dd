//! Who counts as using the cluster in etcd.

use serde_json::json;

use super::*;

#[test]
fn a_lease_is_held_until_it_ends_however_long_that_is() {
    let holder = |who: &str, seconds: Value, now: &str| {
        let spec = json!({
            "holderIdentity": who, "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": seconds,
        });
        holder_at(&json!({ "spec": spec }), now.parse().unwrap()).map(str::to_owned)
    };
    assert_eq!(holder("one", json!(15), "2026-01-01T00:00:14Z").as_deref(), Some("one"));
    assert_eq!(holder("one", json!(15), "2026-01-01T00:00:15Z"), None);
    assert_eq!(holder("", json!(15), "2026-01-01T00:00:14Z"), None);
    for absurd in [json!(i64::MAX), json!(u64::MAX), json!(1_u64 << 40)] {
        assert_eq!(holder("one", absurd.clone(), "2026-01-01T00:00:15Z").as_deref(), Some("one"), "{absurd}");
    }
    assert_eq!(holder("one", json!(-1), "2026-01-01T00:00:15Z"), None);
    assert_eq!(holder_at(&Value::Null, Timestamp::now()), None);
}
