//! Asks running containers how they are (kubelet `prober`).
//!
//! In: which probes should run. Out: verdicts, thresholds applied, and `Unhealthy` events. A probe
//! never decides what follows from its verdict.

pub(super) mod ask;
mod grpc;
pub(super) mod http;
mod tls;

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::{sync::mpsc, task::AbortHandle};

use self::ask::{Answer, Unwell};
use super::{
    context::Context,
    message::{Message, ProbeKind, ProbeTarget, Verdict},
    pod::PodExt,
};

/// The probes of one pod.
pub struct Probes {
    context: Arc<Context>,
    running: HashMap<ProbeTarget, AbortHandle>,
}

impl Probes {
    /// None yet.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, running: HashMap::new() }
    }

    /// Starts and ends probes until exactly `wanted` run. Verdicts go to `verdicts`.
    pub fn set(
        &mut self,
        pod: &Arc<Pod>,
        address: Option<Ipv4Addr>,
        wanted: &[ProbeTarget],
        verdicts: &mpsc::UnboundedSender<Message>,
    ) {
        self.running.retain(|target, task| {
            let keep = wanted.contains(target);
            if !keep {
                task.abort();
            }
            keep
        });
        for target in wanted {
            if self.running.contains_key(target) {
                continue;
            }
            let Some((container, probe)) = definition(pod, target) else { continue };
            let watch = Watch {
                context: self.context.clone(),
                pod: pod.clone(),
                container: container.clone(),
                probe: probe.clone(),
                target: target.clone(),
                address,
                verdicts: verdicts.clone(),
            };
            let task = tokio::spawn(watch.run());
            self.running.insert(target.clone(), task.abort_handle());
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

fn definition<'a>(pod: &'a Pod, target: &ProbeTarget) -> Option<(&'a Container, &'a Probe)> {
    let mut all = PodExt::spec(pod).containers.iter().chain(pod.inits());
    let container = all.find(|container| container.name == target.name)?;
    let probe = match target.kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    };
    Some((container, probe?))
}

/// One probe at work.
struct Watch {
    context: Arc<Context>,
    pod: Arc<Pod>,
    container: Container,
    probe: Probe,
    target: ProbeTarget,
    address: Option<Ipv4Addr>,
    verdicts: mpsc::UnboundedSender<Message>,
}

impl Watch {
    async fn run(self) {
        let seconds =
            |value: Option<i32>, default: i32| Duration::from_secs(value.unwrap_or(default).unsigned_abs().into());
        tokio::time::sleep(seconds(self.probe.initial_delay_seconds, 0)).await;
        let period = seconds(self.probe.period_seconds, 10).max(Duration::from_secs(1));
        let timeout = seconds(self.probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let mut tally = Tally::new(self.target.kind, &self.probe);
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = self.ask(timeout).await;
            if let Err(unwell) = &answer {
                self.tell(unwell);
            }
            if let Err(Unwell::Errored(_)) = answer {
                // It says nothing about the container.
                continue;
            }
            if let Some(passed) = tally.count(answer.is_ok()) {
                let verdict = Verdict { container: self.target.container.clone(), kind: self.target.kind, passed };
                if self.verdicts.send(Message::Probed(verdict)).is_err() {
                    return;
                }
            }
        }
    }

    fn tell(&self, unwell: &Unwell) {
        let kind = match self.target.kind {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        };
        let message = match unwell {
            Unwell::Failed(why) => format!("{kind} probe failed: {why}"),
            Unwell::Errored(why) => format!("{kind} probe errored: {why}"),
        };
        self.context.api.event(&self.pod, &self.target.name, true, "Unhealthy", &message);
    }

    async fn ask(&self, timeout: Duration) -> Answer {
        let address = if self.pod.host_namespaces().network { Some(self.context.host) } else { self.address };
        let runtime = self.context.runtime.as_ref();
        ask::probe(&self.probe, runtime, &self.target.container, &self.container, address, timeout).await
    }
}

/// Counts answers until a threshold is reached.
#[derive(Debug)]
struct Tally {
    successes: i32,
    failures: i32,
    run: i32,
    last: Option<bool>,
    shown: Option<bool>,
}

impl Tally {
    fn new(kind: ProbeKind, probe: &Probe) -> Self {
        Self {
            successes: probe.success_threshold.unwrap_or(1).max(1),
            failures: probe.failure_threshold.unwrap_or(3).max(1),
            run: 0,
            last: None,
            // A container is alive until proven otherwise; ready or started it must prove to be.
            shown: (kind == ProbeKind::Liveness).then_some(true),
        }
    }

    /// Counts one answer. A verdict when it changes.
    fn count(&mut self, passed: bool) -> Option<bool> {
        self.run = if self.last == Some(passed) { self.run + 1 } else { 1 };
        self.last = Some(passed);
        let threshold = if passed { self.successes } else { self.failures };
        if self.run < threshold || self.shown == Some(passed) {
            return None;
        }
        self.shown = Some(passed);
        Some(passed)
    }
}

#[cfg(test)]
mod tests;
