//! What a disruption budget says about itself (component-helpers `poddisruptionbudget`).
//!
//! In: the status of a budget, and the time. Out: the same with the condition that tells people
//! whether pods may be evicted. Its keeper and whoever evicts say it in the same words.

use jiff::Timestamp;
use k8s_openapi::{
    api::policy::v1::PodDisruptionBudgetStatus,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};

/// The condition that tells whether pods may be evicted.
pub const ALLOWED: &str = "DisruptionAllowed";
/// Why not: nobody knows how many pods there should be.
pub const SYNC_FAILED: &str = "SyncFailed";

/// Says whether pods may be evicted, by how many may be.
pub fn tell_allowed(status: &mut PodDisruptionBudgetStatus, now: Timestamp) {
    match status.disruptions_allowed > 0 {
        true => tell(status, ("True", "SufficientPods"), "", now),
        false => tell(status, ("False", "InsufficientPods"), "", now),
    }
}

/// Says that no pod may be evicted, because something is wrong.
pub fn tell_failed(status: &mut PodDisruptionBudgetStatus, why: &str, now: Timestamp) {
    status.disruptions_allowed = 0;
    tell(status, ("False", SYNC_FAILED), why, now);
}

/// Sets the condition. It is new since `now` only when it was another one before.
fn tell(status: &mut PodDisruptionBudgetStatus, (is_so, reason): (&str, &str), message: &str, now: Timestamp) {
    let observed_generation = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let before = conditions.iter().find(|condition| condition.type_ == ALLOWED && condition.status == is_so);
    let since = before.map_or(Time(now), |before| before.last_transition_time.clone());
    let condition = Condition {
        type_: ALLOWED.to_owned(),
        status: is_so.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation,
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|condition| condition.type_ == ALLOWED) {
        Some(found) => *found = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &PodDisruptionBudgetStatus) -> (&str, &str, i64) {
        let condition = &status.conditions.as_ref().unwrap()[0];
        (&condition.status, &condition.reason, condition.last_transition_time.0.as_second())
    }

    #[test]
    fn a_condition_is_new_only_when_it_changes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut status = PodDisruptionBudgetStatus::default();
        tell_allowed(&mut status, at(1));
        assert_eq!(told(&status), ("False", "InsufficientPods", 1));
        tell_failed(&mut status, "who knows", at(2));
        assert_eq!(told(&status), ("False", SYNC_FAILED, 1));
        status.disruptions_allowed = 1;
        tell_allowed(&mut status, at(3));
        assert_eq!(told(&status), ("True", "SufficientPods", 3));
        assert_eq!(status.conditions.unwrap().len(), 1);
    }
}
