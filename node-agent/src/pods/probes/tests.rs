//! How answers become verdicts.

use super::*;

fn verdicts(kind: ProbeKind, answers: &[bool]) -> Vec<Option<bool>> {
    let mut tally = Tally::new(kind, &Probe { failure_threshold: Some(2), ..Probe::default() });
    answers.iter().map(|passed| tally.count(*passed)).collect()
}

#[test]
fn readiness_follows_the_answers_at_the_thresholds() {
    assert_eq!(
        verdicts(ProbeKind::Readiness, &[false, true, false, true, false, false, true]),
        [None, Some(true), None, None, None, Some(false), Some(true)]
    );
}

#[test]
fn what_is_not_known_yet_may_turn_out_unready() {
    assert_eq!(verdicts(ProbeKind::Readiness, &[false, false, false]), [None, Some(false), None]);
}

#[test]
fn liveness_speaks_only_of_death() {
    assert_eq!(verdicts(ProbeKind::Liveness, &[true, false, false]), [None, None, Some(false)]);
}
