//! CSI drivers (upstream `ValidateCSIDriver`, `ValidateCSIDriverUpdate`).

use std::collections::BTreeSet;

use nodeplane_api::status::FieldErrors;
use serde_json::{Value, json};

use super::check_driver_name;
use crate::registry::{
    NameRule, Strategy,
    fields::{At, fill, object_mut},
    metadata::{check_immutable, own},
};

const MODES: [&str; 2] = ["Ephemeral", "Persistent"];
const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
/// What may change; the generation counts it.
const MUTABLE: [&str; 6] =
    ["podInfoOnMount", "fsGroupPolicy", "storageCapacity", "tokenRequests", "requiresRepublish", "seLinuxMount"];
const SHORTEST_TOKEN: i64 = 10 * 60;
const LONGEST_TOKEN: i64 = 1 << 32;

/// The strategy of CSI drivers.
pub(super) struct DriverStrategy;

impl Strategy for DriverStrategy {
    fn default(&self, driver: &mut Value) {
        let Some(spec) = object_mut(driver, "spec") else { return };
        for (field, value) in [
            ("attachRequired", json!(true)),
            ("podInfoOnMount", json!(false)),
            ("storageCapacity", json!(false)),
            ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
            ("requiresRepublish", json!(false)),
            ("seLinuxMount", json!(false)),
        ] {
            fill(spec, field, value);
        }
        if spec["volumeLifecycleModes"].as_array().is_none_or(Vec::is_empty) {
            spec["volumeLifecycleModes"] = json!(["Persistent"]);
        }
    }

    fn prepare_for_update(&self, driver: &mut Value, old: &Value) {
        if MUTABLE.iter().any(|field| driver["spec"].get(field) != old["spec"].get(field)) {
            own::raise_generation(driver);
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, driver: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(driver);
        check_driver_name(&At { path: "name".to_owned(), ..root.field("metadata").field("name") }, &mut errors);
        let spec = root.field("spec");
        let modes = spec.field("volumeLifecycleModes");
        for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
            errors.not_supported(modes.path.clone(), mode.text(), &MODES);
        }
        let policy = spec.field("fsGroupPolicy");
        if !GROUP_POLICIES.contains(&policy.text()) {
            errors.not_supported(policy.path.clone(), policy.text(), &GROUP_POLICIES);
        }
        check_tokens(&spec.field("tokenRequests"), &mut errors);
        errors
    }

    fn validate_update(&self, driver: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (spec, before) = (At::root(driver).field("spec"), At::root(old).field("spec"));
        // Upstream says `attachedRequired`.
        let attach = At { path: "spec.attachedRequired".to_owned(), ..spec.field("attachRequired") };
        check_immutable(&attach, &before.field("attachRequired"), &mut errors);
        check_immutable(&spec.field("volumeLifecycleModes"), &before.field("volumeLifecycleModes"), &mut errors);
        errors
    }
}

fn check_tokens(requests: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for request in requests.items() {
        let (audience, seconds) = (request.field("audience"), request.field("expirationSeconds"));
        if !seen.insert(audience.text()) {
            errors.duplicate(audience.path.clone(), audience.text());
        }
        match seconds.integer() {
            Some(short) if short < SHORTEST_TOKEN => {
                errors.invalid(seconds.path, short, "may not specify a duration less than 10 minutes");
            }
            Some(long) if long > LONGEST_TOKEN => {
                errors.invalid(seconds.path, long, "may not specify a duration larger than 2^32 seconds");
            }
            _ => {}
        }
    }
}
