//! Service accounts (upstream `core/serviceaccount/storage`).

use crate::registry::Strategy;

/// The strategy of ServiceAccounts.
pub(super) struct ServiceAccountStrategy;

impl Strategy for ServiceAccountStrategy {
    fn returns_deleted_object(&self) -> bool {
        true
    }
}
