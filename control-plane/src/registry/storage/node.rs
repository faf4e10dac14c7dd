//! Which CSI drivers a node has (upstream `ValidateCSINode`, `ValidateCSINodeUpdate`).

use std::collections::BTreeSet;

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::check_driver_name;
use crate::registry::{Strategy, fields::At, pod_template::not_negative};

const ID_LIMIT: usize = 256;

/// The strategy of CSI nodes.
pub(super) struct NodeStrategy;

impl Strategy for NodeStrategy {
    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, node: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let mut seen = BTreeSet::new();
        for driver in At::root(node).field("spec").field("drivers").items() {
            check_driver(&driver, &mut seen, &mut errors);
        }
        errors
    }

    /// Drivers come and go, but do not change.
    fn validate_update(&self, node: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let drivers = |node| At::root(node).field("spec").field("drivers").items().collect::<Vec<_>>();
        for before in drivers(old) {
            let same = drivers(node).into_iter().find(|now| now.value["name"] == before.value["name"]);
            if let Some(now) = same.filter(|now| now.value != before.value) {
                errors.invalid("CSINodeDriver", now.value.clone(), "field is immutable");
            }
        }
        errors
    }
}

fn check_driver<'a>(driver: &At<'a>, seen: &mut BTreeSet<&'a str>, errors: &mut FieldErrors) {
    let (name, id) = (driver.field("name"), driver.field("nodeID"));
    check_driver_name(&name, errors);
    if id.text().is_empty() {
        errors.required(id.path.clone(), "");
    }
    if id.text().len() > ID_LIMIT {
        errors.invalid(id.path.clone(), id.text(), format!("must be {ID_LIMIT} characters or less"));
    }
    not_negative(&driver.field("allocatable").field("count"), errors);
    if !seen.insert(name.text()) {
        errors.duplicate(name.path.clone(), name.text());
    }
    let mut keys = BTreeSet::new();
    let all = driver.field("topologyKeys");
    for key in all.items() {
        if key.text().is_empty() {
            errors.required(driver.path.clone(), "");
        }
        if !keys.insert(key.text()) {
            errors.duplicate(driver.path.clone(), key.text());
        }
        for words in names::qualified(key.text()) {
            errors.invalid(driver.path.clone(), all.value.clone(), words);
        }
    }
}
