//! From everything that is known to a plan.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::Machine;
use crate::pods::{
    message::{Action, Failure, Plan},
    pod::PodExt,
    status,
};

/// What containers get that nobody grants any time.
pub(super) const MINIMUM_GRACE: Duration = Duration::from_secs(1);
/// An object that the API server agreed to remove and that is still there is asked for again.
const DELETE_AGAIN: SignedDuration = SignedDuration::from_secs(30);

impl Machine {
    pub(super) fn decide(&mut self, now: Timestamp) -> Plan {
        let mut plan = Plan { finished: self.finished, ..Plan::default() };
        if self.finished || self.observed.is_none() {
            return plan;
        }
        match self.pod.clone() {
            Some(pod) if !self.gone => {
                self.check_deadline(&pod, now, &mut plan);
                let over = pod.is_over() || self.verdict.is_some() || self.is_complete(&pod);
                if pod.deletion().is_some() || over {
                    self.stop(&mut plan, pod.grace(), now);
                } else {
                    self.run(&pod, now, &mut plan);
                }
                self.note(&plan);
                self.finish_status(&pod, now, &mut plan);
                plan.probes = self.probes(&pod);
            }
            Some(pod) => self.stop(&mut plan, if pod.deletion().is_some() { pod.grace() } else { MINIMUM_GRACE }, now),
            None if self.gone => self.stop(&mut plan, self.orphan_grace, now),
            None => return plan,
        }
        self.note(&plan);
        plan
    }

    /// From now on the plan's jobs are under way.
    fn note(&mut self, plan: &Plan) {
        self.in_flight.extend(plan.actions.iter().filter_map(Action::job));
    }

    fn finish_status(&mut self, pod: &Pod, now: Timestamp, plan: &mut Plan) {
        if self.is_adopting(pod) {
            return;
        }
        self.status = status::compute(self, pod, now);
        if pod.deletion().is_some() && self.in_flight.is_empty() && !self.anything_runs() {
            match self.deleted.and_then(|at| at.checked_add(DELETE_AGAIN).ok()).filter(|again| *again > now) {
                Some(again) => wake_at(plan, again),
                None => drop(self.ask(plan, Action::Delete(Box::new(self.status.clone())), now)),
            }
        }
        plan.status = Some(Box::new(self.status.clone()));
    }

    /// Whether a sandbox that outlived the agent waits to be connected. What was recorded holds
    /// until then.
    fn is_adopting(&self, pod: &Pod) -> bool {
        let ends = pod.deletion().is_some() || pod.is_over() || self.verdict.is_some();
        self.network.is_none() && self.failed.is_empty() && !ends && self.running_sandbox().is_some()
    }

    /// `activeDeadlineSeconds`.
    fn check_deadline(&mut self, pod: &Pod, now: Timestamp, plan: &mut Plan) {
        let (Some(limit), Some(start)) = (PodExt::spec(pod).active_deadline_seconds, &self.status.start_time) else {
            return;
        };
        let Ok(end) = start.0.checked_add(SignedDuration::from_secs(limit)) else { return };
        if self.verdict.is_some() || pod.is_over() {
            return;
        }
        if end > now {
            return wake_at(plan, end);
        }
        let message = "Pod was active on the node longer than the specified deadline";
        self.verdict = Some(Failure::new("DeadlineExceeded", message));
        plan.actions.push(Action::Event {
            container: String::new(),
            warning: false,
            reason: "DeadlineExceeded",
            message: message.to_owned(),
        });
    }

    /// Adds an action unless it is under way or has to wait after a failure; whether it did.
    pub(super) fn ask(&self, plan: &mut Plan, action: Action, now: Timestamp) -> bool {
        let Some(job) = action.job() else { return false };
        if self.in_flight.contains(&job) {
            return false;
        }
        match self.failed.get(&job).and_then(|failed| failed.backoff.remaining(failed.at, now)) {
            Some(left) => {
                wake_at(plan, now.checked_add(left).unwrap_or(now));
                false
            }
            None => {
                plan.actions.push(action);
                true
            }
        }
    }
}

/// Looks again at `time`, or sooner.
pub(super) fn wake_at(plan: &mut Plan, time: Timestamp) {
    plan.wake = Some(plan.wake.map_or(time, |earlier| earlier.min(time)));
}
