//! What reaches a pod's state machine, and what it asks for.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::runtime::{Observed, Sandbox};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The pod's object was added or changed.
    Desired(Arc<Pod>),
    /// The pod's object is gone.
    Gone,
    /// What the runtime holds of the pod now.
    Observed(Observed),
    /// An action came to its end. The observation that preceded this message is newer.
    Done(Job, Result<Done, Failure>),
    /// A probe reached a verdict about a running container.
    Probed(Verdict),
    /// Something that the pod's volumes or environment refer to may have changed.
    Refreshed,
    /// Time passed.
    Tick,
}

/// What a successful action left behind.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// Nothing to remember.
    Plain,
    /// It was cancelled and has stopped halfway.
    GivenUp,
    /// The files are there.
    Prepared {
        /// When they must be made again at the latest: something in them expires.
        renew: Option<Timestamp>,
    },
    /// The sandbox has its network; no address of its own on the node's network.
    Connected {
        /// Sandbox.
        sandbox: String,
        /// The pod's address.
        address: Option<Ipv4Addr>,
    },
}

/// Why an action failed, as the pod's status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One word, such as `ErrImagePull`.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure with this reason.
    pub fn new(reason: &'static str, message: impl std::fmt::Display) -> Self {
        Self { reason, message: message.to_string() }
    }
}

/// The three questions that are asked of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Has it come up?
    Startup,
    /// Must it be replaced?
    Liveness,
    /// May it get traffic?
    Readiness,
}

/// What a probe found out, thresholds applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Runtime id of the container.
    pub container: String,
    /// Which probe.
    pub kind: ProbeKind,
    /// Passed or failed.
    pub passed: bool,
}

/// A probe that should be running now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeTarget {
    /// Runtime id of the container.
    pub container: String,
    /// Its name in the pod.
    pub name: String,
    /// Which probe.
    pub kind: ProbeKind,
}

/// An action by what it works on: no two with the same job run at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Job {
    /// Files on the node.
    Volumes,
    /// The sandbox with its network.
    Sandbox,
    /// The container with this name.
    Start(String),
    /// The container with this id, given so many seconds.
    Stop(String, u64),
    /// All sandboxes and the network.
    StopSandboxes,
    /// Dead containers and sandboxes.
    Prune,
    /// Everything.
    RemoveAll,
    /// The pod's object.
    Delete,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make directories and files ready.
    PrepareVolumes,
    /// Create and start a sandbox and connect it.
    RunSandbox {
        /// Number of the sandbox.
        attempt: u32,
    },
    /// Connect a sandbox that was found running.
    Connect(Sandbox),
    /// See to the image, create and start a container.
    Start {
        /// Container name.
        name: String,
        /// Restart count.
        attempt: u32,
        /// The sandbox to join.
        sandbox: String,
        /// The pod's address.
        address: Option<Ipv4Addr>,
    },
    /// Ask a container to end, and end it when the time is over.
    Stop {
        /// Runtime id.
        id: String,
        /// Container name.
        name: String,
        /// The whole time, by which the job is known.
        grace: Duration,
        /// What is left of it.
        left: Duration,
        /// Message of the event.
        why: String,
    },
    /// Disconnect and stop these sandboxes.
    StopSandboxes(Vec<Sandbox>),
    /// Remove dead containers or sandboxes by id.
    Prune(Vec<String>),
    /// Remove all containers, sandboxes, files, the address.
    RemoveAll,
    /// Write the last status and remove the object.
    Delete(Box<PodStatus>),
    /// Tell people.
    Event {
        /// Container name; empty for the pod itself.
        container: String,
        /// `Warning` rather than `Normal`.
        warning: bool,
        /// One word.
        reason: &'static str,
        /// The sentence.
        message: String,
    },
}

impl Action {
    /// What the action works on; none for what takes no time.
    pub fn job(&self) -> Option<Job> {
        Some(match self {
            Self::PrepareVolumes => Job::Volumes,
            Self::RunSandbox { .. } | Self::Connect(_) => Job::Sandbox,
            Self::Start { name, .. } => Job::Start(name.clone()),
            Self::Stop { id, grace, .. } => Job::Stop(id.clone(), grace.as_secs()),
            Self::StopSandboxes(_) => Job::StopSandboxes,
            Self::Prune(_) => Job::Prune,
            Self::RemoveAll => Job::RemoveAll,
            Self::Delete(_) => Job::Delete,
            Self::Event { .. } => return None,
        })
    }
}

/// What follows from a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To be started, in this order.
    pub actions: Vec<Action>,
    /// Jobs to be given up.
    pub cancel: Vec<Job>,
    /// Status that the API server should show; none while the object is unknown or gone.
    pub status: Option<Box<PodStatus>>,
    /// Probes that should run; all others should not.
    pub probes: Vec<ProbeTarget>,
    /// Look again at this time.
    pub wake: Option<Timestamp>,
    /// Nothing of the pod is left.
    pub finished: bool,
}
