//! Toward nothing running: containers, then sidecars in reverse order, then the sandbox; and when
//! the object is gone, toward nothing left.

use std::time::Duration;

use jiff::Timestamp;

use super::{Machine, decide::MINIMUM_GRACE};
use crate::pods::{
    message::{Action, Job, Plan},
    pod::{self, PodExt},
};

impl Machine {
    pub(super) fn stop(&mut self, plan: &mut Plan, grace: Duration, now: Timestamp) {
        let since = *self.stopping.get_or_insert(now);
        let begun = |job: &&Job| matches!(job, Job::Start(_) | Job::Sandbox | Job::Volumes);
        plan.cancel = self.in_flight.iter().filter(begun).cloned().collect();
        let spent = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let left = grace.saturating_sub(spent).max(MINIMUM_GRACE);
        let running = self.next_to_stop();
        for (id, name) in &running {
            let sooner =
                |job: &Job| matches!(job, Job::Stop(other, seconds) if other == id && *seconds <= grace.as_secs());
            if !self.in_flight.iter().any(sooner) {
                let why = format!("Stopping container {name}");
                self.ask(plan, Action::Stop { id: id.clone(), name: name.clone(), grace, left, why }, now);
            }
        }
        if !running.is_empty() || !self.in_flight.is_empty() {
            return;
        }
        let sandboxes = self.running_sandboxes();
        if !sandboxes.is_empty() {
            self.ask(plan, Action::StopSandboxes(sandboxes), now);
        } else if self.gone {
            self.ask(plan, Action::RemoveAll, now);
        }
    }

    /// All running containers; sidecars outlive those that they serve, and the later one of two
    /// ends before the earlier one.
    fn next_to_stop(&self) -> Vec<(String, String)> {
        let mut running = self.running_containers();
        let is_sidecar = |name: &str| self.is_init(name) && self.definition(name).is_some_and(pod::is_sidecar);
        if running.iter().any(|(_, name)| !is_sidecar(name)) {
            running.retain(|(_, name)| !is_sidecar(name));
            return running;
        }
        let mut inits = self.pod.iter().flat_map(|pod| pod.inits());
        let last = inits.rfind(|init| running.iter().any(|(_, name)| *name == init.name));
        running.retain(|(_, name)| last.is_none_or(|last| *name == last.name));
        running
    }
}
