//! The loop of one pod: it feeds the machine and does what the machine plans.
//!
//! In: the pod's object, notices that something of it moved, the ends of jobs, verdicts of probes,
//! time. Out: jobs on [`Hands`], each a task that can be given up; a status; events. Never decides
//! anything. Each end of a job is told to the machine only after a look at the runtime that began
//! after it, so the machine never plans on what has passed.

mod hands;
mod hooks;
mod image;
mod jobs;
mod look;
mod start;
mod termination;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use self::{
    hands::Hands,
    jobs::{Ended, Jobs},
    look::Look,
};
use super::{
    config::{Shown, Subscriptions, Watches},
    context::Context,
    env,
    machine::{Machine, Node},
    message::{Action, Job, Message, Plan},
    pod::PodExt,
    probes::Probes,
    reporter::Reporter,
    runtime::PodId,
    volumes,
};

/// No sleep is longer, for the wall clock may jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What the manager says to a worker.
#[derive(Debug)]
pub enum Order {
    /// To be told to the machine.
    Tell(Message),
    /// Something of the pod may have moved.
    Look,
}

/// What a worker needs.
pub struct Setup {
    /// The rooms around.
    pub context: Arc<Context>,
    /// Shared watches.
    pub watches: Arc<Watches>,
    /// The pod.
    pub pod: PodId,
    /// What its containers get to end if its object never shows up.
    pub orphan_grace: Duration,
}

/// The life of one pod on this node.
pub struct Worker {
    hands: Arc<Hands>,
    machine: Machine,
    orders: mpsc::UnboundedReceiver<Order>,
    messages: mpsc::UnboundedReceiver<Message>,
    speaker: mpsc::UnboundedSender<Message>,
    jobs: Jobs,
    look: Look,
    probes: Probes,
    subscriptions: Subscriptions,
    wake: Option<Timestamp>,
    finished: bool,
}

impl Worker {
    /// A worker that takes orders from `orders`.
    pub fn new(setup: Setup, orders: mpsc::UnboundedReceiver<Order>) -> Self {
        let Setup { context, watches, pod, orphan_grace } = setup;
        let (speaker, messages) = mpsc::unbounded_channel();
        let shown = Shown::new(speaker.clone());
        let reporter = Reporter::start(context.api.clone(), pod.clone());
        let hands = Arc::new(Hands::new(context.clone(), pod, shown.clone(), reporter));
        Self {
            machine: Machine::new(Node { address: context.host }, orphan_grace),
            orders,
            messages,
            speaker,
            jobs: Jobs::default(),
            look: Look::new(hands.clone()),
            probes: Probes::new(context),
            subscriptions: Subscriptions::new(watches, shown),
            wake: None,
            finished: false,
            hands,
        }
    }

    /// Works until nothing of the pod is left, or until `stop`: then containers keep running.
    pub async fn run(mut self, stop: CancellationToken) {
        self.look.ask();
        while !self.finished {
            tokio::select! {
                () = stop.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(Order::Tell(message)) => self.tell(message),
                    Some(Order::Look) => self.look.ask(),
                    None => break,
                },
                Some(message) = self.messages.recv() => self.tell(message),
                ended = self.jobs.next() => self.ended(ended),
                (observed, ended) = self.look.next(self.machine.pod()) => {
                    self.tell(Message::Observed(observed));
                    for Ended { job, result } in ended {
                        self.tell(Message::Done(job, result));
                    }
                }
                () = sleep_until(self.wake) => self.tell(Message::Tick),
            }
        }
        self.jobs.shutdown().await;
    }

    fn ended(&mut self, ended: Ended) {
        if let Err(failure) = &ended.result {
            let Ended { job, .. } = &ended;
            info!(pod = self.hands.pod.name, ?job, reason = failure.reason, message = failure.message, "job failed");
        }
        if matches!(ended.job, Job::Volumes | Job::Delete) {
            // Nothing moved in the runtime.
            return self.tell(Message::Done(ended.job, ended.result));
        }
        self.look.after(ended);
    }

    fn tell(&mut self, message: Message) {
        if let Message::Desired(pod) = &message {
            self.hands.reporter.saw(pod);
            self.follow(pod);
        }
        let plan = self.machine.handle(message, Timestamp::now());
        self.execute(plan);
    }

    /// Follows the objects that the pod refers to.
    fn follow(&mut self, pod: &Pod) {
        let spec = PodExt::spec(pod);
        let mut wanted = volumes::references(spec.volumes.as_deref().unwrap_or_default());
        pod.inits().iter().chain(&spec.containers).for_each(|container| wanted.extend(env::references(container)));
        self.subscriptions.set(&self.hands.pod.namespace, &wanted);
    }

    fn execute(&mut self, plan: Plan) {
        let Plan { actions, cancel, status, probes, wake, finished } = plan;
        cancel.iter().for_each(|job| self.jobs.cancel(job));
        for action in actions {
            self.begin(action);
        }
        if let Some(status) = status {
            self.hands.reporter.show(*status);
        }
        match self.machine.pod().cloned() {
            Some(pod) => self.probes.set(&pod, self.machine.address(), &probes, &self.speaker),
            None => debug_assert!(probes.is_empty(), "probes of a pod that is not known"),
        }
        self.wake = wake;
        self.finished = finished;
    }

    fn begin(&mut self, action: Action) {
        let pod = self.machine.pod().cloned();
        let Some(job) = action.job() else {
            if let (Action::Event { container, warning, reason, message }, Some(pod)) = (action, pod) {
                self.hands.context.api.event(&pod, &container, warning, reason, &message);
            }
            return;
        };
        debug!(pod = self.hands.pod.name, ?job, "job begins");
        let hands = self.hands.clone();
        self.jobs.start(job, |given_up| async move { hands.perform(action, pod, given_up).await });
    }
}

/// Returns when it is that time.
async fn sleep_until(time: Option<Timestamp>) {
    let Some(time) = time else { return std::future::pending().await };
    while let Ok(left) = Duration::try_from(time.duration_since(Timestamp::now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

#[cfg(test)]
mod tests;
