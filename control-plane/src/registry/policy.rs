//! Disruption budgets (upstream `ValidatePodDisruptionBudget`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::{
    Strategy,
    fields::At,
    shares::{check_at_most_all, check_share},
    workload::{check_counts, check_label_selector},
};

const UNHEALTHY: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

/// The strategy of disruption budgets.
pub(super) struct BudgetStrategy;

impl Strategy for BudgetStrategy {
    fn counts_generations(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, budget: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(budget).field("spec");
        let shares = ["minAvailable", "maxUnavailable"].map(|field| spec.field(field));
        if shares.iter().all(At::is_set) {
            let words = "minAvailable and maxUnavailable cannot be both set";
            errors.invalid(spec.path.clone(), spec.value.clone(), words);
        }
        for share in shares.iter().filter(|share| share.is_set()) {
            check_share(share, &mut errors);
            check_at_most_all(share, &mut errors);
        }
        let policy = spec.field("unhealthyPodEvictionPolicy");
        if policy.is_set() && !UNHEALTHY.contains(&policy.text()) {
            errors.not_supported(policy.path.clone(), policy.text(), &UNHEALTHY);
        }
        check_label_selector(&spec.field("selector"), &mut errors);
        errors
    }

    fn validate_status_update(&self, budget: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        check_counts(&At::root(budget).field("status"), &counts, &mut errors);
        errors
    }
}

#[cfg(test)]
mod tests;
