//! Amounts of CPU and memory: what is wrong with them (upstream
//! `ValidateResourceRequirements`), and which quality of service they buy (upstream
//! `qos.ComputePodQOS`).

use std::collections::BTreeMap;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::Value;

use crate::registry::fields::At;

/// Adds what is wrong with a container's `resources`.
pub(in crate::registry) fn check_resources(resources: &At<'_>, errors: &mut FieldErrors) {
    let limits = resources.field("limits");
    for (name, amount) in limits.entries() {
        check_amount(name, &amount, errors);
    }
    for (name, amount) in resources.field("requests").entries() {
        let Some(request) = check_amount(name, &amount, errors) else { continue };
        let limit = limits.field(name);
        let may_exceed = !is_countable(name);
        if !limit.is_set() && !may_exceed {
            errors.required(limits.path.clone(), "Limit must be set for non overcommitable resources");
        }
        let Ok(most) = limit.text().parse::<Quantity>() else { continue };
        let path = resources.field("requests").path;
        if !may_exceed && request != most {
            errors.invalid(path, amount.text(), format!("must be equal to {name} limit of {most}"));
        } else if request > most {
            errors.invalid(path, amount.text(), format!("must be less than or equal to {name} limit of {most}"));
        }
    }
}

/// Devices and huge pages: what one has, nobody else has.
pub(in crate::registry) fn is_countable(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-")
}

/// Adds what is wrong with the name of something that a container uses.
pub(in crate::registry) fn check_container_resource_name(name: &At<'_>, errors: &mut FieldErrors) {
    check_resource_name(name.text(), &name.path, errors);
}

/// Adds what is wrong with the name of something that containers use, said under this path.
pub(in crate::registry) fn check_resource_name(name: &str, path: &str, errors: &mut FieldErrors) {
    let is_standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    let wrong = names::qualified(name);
    if !is_standard && !wrong.is_empty() {
        for words in wrong {
            errors.invalid(path, name, words);
        }
    } else if !is_standard && !name.contains('/') {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
        errors.invalid(path, name, "must be a standard resource for containers");
    }
}

fn check_amount(name: &str, amount: &At<'_>, errors: &mut FieldErrors) -> Option<Quantity> {
    check_resource_name(name, &amount.path, errors);
    let quantity: Quantity = amount.text().parse().ok()?;
    if quantity.is_negative() {
        errors.invalid(amount.path.clone(), amount.text(), "must be greater than or equal to 0");
    }
    if is_countable(name) && !quantity.is_whole() {
        errors.invalid(amount.path.clone(), amount.text(), "must be an integer");
    }
    Some(quantity)
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by the CPU and memory of all containers.
pub(in crate::registry) fn quality_of_service(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    let mut all_limited = true;
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            add_up(&container["resources"]["requests"], &mut requests);
            all_limited &= add_up(&container["resources"]["limits"], &mut limits) == 2;
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if all_limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Adds the CPU and memory that are above zero, and says how many of the two there are.
fn add_up(amounts: &Value, sums: &mut BTreeMap<&'static str, Quantity>) -> usize {
    let mut found = 0;
    for name in ["cpu", "memory"] {
        let amount = amounts[name].as_str().and_then(|text| text.parse::<Quantity>().ok());
        if let Some(amount) = amount.filter(|amount| *amount > Quantity::ZERO) {
            *sums.entry(name).or_insert(Quantity::ZERO) += amount;
            found += 1;
        }
    }
    found
}
