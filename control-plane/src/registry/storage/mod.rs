//! The group `storage.k8s.io`.

mod attachment;
mod capacity;
mod class;
mod driver;
mod node;
#[cfg(test)]
mod tests;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};

use super::{Strategy, fields::At, plain};

/// Bytes of a driver's name.
const DRIVER_LIMIT: usize = 63;

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "CSIDriver" => &driver::DriverStrategy,
        "CSINode" => &node::NodeStrategy,
        "CSIStorageCapacity" => &capacity::CapacityStrategy,
        "StorageClass" => &class::ClassStrategy,
        "VolumeAttachment" => &attachment::AttachmentStrategy,
        _ => plain(),
    }
}

/// Adds what is wrong with the name of a driver.
fn check_driver_name(name: &At<'_>, errors: &mut FieldErrors) {
    if name.text().is_empty() {
        errors.required(name.path.clone(), "");
    }
    if name.text().len() > DRIVER_LIMIT {
        errors.too_long(name.path.clone(), DRIVER_LIMIT);
    }
    for words in names::subdomain(&name.text().to_lowercase()) {
        errors.invalid(name.path.clone(), name.text(), words);
    }
}

/// Adds an error for an amount below zero.
fn amount_not_negative(amount: &At<'_>, errors: &mut FieldErrors) {
    if amount.text().parse().is_ok_and(Quantity::is_negative) {
        errors.invalid(amount.path.clone(), amount.text(), "must be greater than or equal to 0");
    }
}
