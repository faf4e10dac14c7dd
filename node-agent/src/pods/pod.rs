//! Questions to a pod's object that several rooms ask. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use nodeplane_api::meta::Key;

use super::runtime::{HostNamespaces, PodId};

/// Default of `terminationGracePeriodSeconds`.
pub const DEFAULT_GRACE_SECONDS: i64 = 30;

/// What `restartPolicy` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After every end.
    Always,
    /// After an end with a code other than 0.
    OnFailure,
    /// Not.
    Never,
}

impl RestartPolicy {
    /// Whether a container that ended with `code` starts again.
    pub fn restarts(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// What a pod's object says, with Kubernetes' defaults for what it does not say.
pub trait PodExt {
    /// Names the pod to the runtime.
    fn id(&self) -> PodId;
    /// Namespace and name.
    fn key(&self) -> Key;
    /// UID.
    fn uid(&self) -> &str;
    /// The specification; empty when missing.
    fn spec(&self) -> &PodSpec;
    /// `restartPolicy`.
    fn restart_policy(&self) -> RestartPolicy;
    /// Init containers, in order.
    fn inits(&self) -> &[Container];
    /// When one of them starts again.
    fn init_policy(&self, init: &Container) -> RestartPolicy;
    /// Which of the node's namespaces it shares.
    fn host_namespaces(&self) -> HostNamespaces;
    /// The host name inside.
    fn hostname(&self) -> String;
    /// How long its containers may take to end.
    fn grace(&self) -> Duration;
    /// Since when somebody wants it gone.
    fn deletion(&self) -> Option<Timestamp>;
    /// `status.phase` as the API server has it.
    fn recorded_phase(&self) -> &str;
    /// Whether that phase is final.
    fn is_over(&self) -> bool {
        matches!(self.recorded_phase(), "Succeeded" | "Failed")
    }
}

static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);

impl PodExt for Pod {
    fn id(&self) -> PodId {
        PodId {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.metadata.name.clone().unwrap_or_default(),
            uid: self.uid().to_owned(),
        }
    }

    fn key(&self) -> Key {
        Key::of(self)
    }

    fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    fn spec(&self) -> &PodSpec {
        self.spec.as_ref().unwrap_or(&EMPTY)
    }

    fn restart_policy(&self) -> RestartPolicy {
        match PodExt::spec(self).restart_policy.as_deref() {
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some("Never") => RestartPolicy::Never,
            _ => RestartPolicy::Always,
        }
    }

    fn inits(&self) -> &[Container] {
        PodExt::spec(self).init_containers.as_deref().unwrap_or_default()
    }

    fn init_policy(&self, init: &Container) -> RestartPolicy {
        match self.restart_policy() {
            _ if is_sidecar(init) => RestartPolicy::Always,
            RestartPolicy::Never => RestartPolicy::Never,
            RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::OnFailure,
        }
    }

    fn host_namespaces(&self) -> HostNamespaces {
        let spec = PodExt::spec(self);
        HostNamespaces {
            network: spec.host_network == Some(true),
            pid: spec.host_pid == Some(true),
            ipc: spec.host_ipc == Some(true),
        }
    }

    fn hostname(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let hostname = PodExt::spec(self).hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(name);
        // The kernel takes 64 bytes; Kubernetes cuts at 63 and leaves no separator at the end.
        let cut: String = hostname.chars().take(63).collect();
        cut.trim_end_matches(['-', '.']).to_owned()
    }

    fn grace(&self) -> Duration {
        let wanted = match self.deletion() {
            Some(_) => self.metadata.deletion_grace_period_seconds,
            None => None,
        };
        let seconds = wanted
            .or(PodExt::spec(self).termination_grace_period_seconds)
            .unwrap_or(DEFAULT_GRACE_SECONDS)
            // The least that upstream grants.
            .max(1);
        Duration::from_secs(seconds.unsigned_abs())
    }

    fn deletion(&self) -> Option<Timestamp> {
        self.metadata.deletion_timestamp.as_ref().map(|time| time.0)
    }

    fn recorded_phase(&self) -> &str {
        self.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
    }
}

/// Whether an init container keeps running beside the others (KEP-753).
pub fn is_sidecar(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// Changes exactly when a running container must be replaced: upstream hashes name and image. The
/// same in every build of the agent (FNV-1a), for a new one adopts what an old one started.
pub fn hash(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let bytes = container.name.bytes().chain([0]).chain(image.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:x}")
}
