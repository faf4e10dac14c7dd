//! What a runtime is told and tells: plain values.

use std::{net::Ipv4Addr, path::PathBuf};

use jiff::Timestamp;

/// Names a pod to the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID: the identity.
    pub uid: String,
}

/// What holds the namespaces of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct SandboxSpec {
    /// The pod.
    pub pod: PodId,
    /// 0 for the first sandbox of the pod, one more for each that replaced a dead one.
    pub attempt: u32,
    /// Host name inside; empty leaves the runtime's choice.
    pub hostname: String,
    /// The pod's address; remembered as a label so that a restarted agent knows it.
    pub address: Option<Ipv4Addr>,
    /// Share the node's namespaces.
    pub host: HostNamespaces,
    /// Kernel parameters inside the sandbox.
    pub sysctls: Vec<(String, String)>,
    /// Remembered for the day when the pod's object is gone. Seconds.
    pub grace_seconds: i64,
}

/// Which namespaces of the node a pod shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostNamespaces {
    /// Network.
    pub network: bool,
    /// Processes.
    pub pid: bool,
    /// System V and POSIX message queues.
    pub ipc: bool,
}

/// A container to create in a sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSpec {
    /// Container name within the pod.
    pub name: String,
    /// How often the container was restarted before.
    pub attempt: u32,
    /// Fingerprint of the definition; remembered as a label.
    pub hash: String,
    /// Image reference or id; must be there.
    pub image: String,
    /// Replaces the image's entry point unless empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments unless empty.
    pub args: Vec<String>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// Working directory; empty keeps the image's.
    pub working_dir: String,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// Keep standard input open.
    pub stdin: bool,
    /// Close standard input after the first client.
    pub stdin_once: bool,
    /// Allocate a terminal.
    pub tty: bool,
    /// Limits.
    pub resources: Resources,
    /// Rights.
    pub security: Security,
    /// The sandbox's processes are visible.
    pub share_pid: bool,
    /// Which namespaces of the node are shared.
    pub host: HostNamespaces,
    /// `terminationMessagePath`, remembered as a label.
    pub termination_path: String,
}

/// Something of the node, visible in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Path on the node.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Writes are refused.
    pub read_only: bool,
    /// How mounts made later travel.
    pub propagation: Propagation,
}

/// Whether mounts made later are seen on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    #[default]
    Private,
    /// From the node into the container.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// Limits of a container, in the units of the kernel's cgroup v1 files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Relative weight; 1024 is one core.
    pub cpu_shares: i64,
    /// Microseconds of CPU time per `cpu_period`; 0 is unlimited.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Bytes, swap included; 0 is unlimited.
    pub memory: i64,
    /// From -1000 (never) to 1000 (first) when memory runs out.
    pub oom_score_adj: i64,
}

/// Rights of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `uid[:gid]`; empty keeps the image's.
    pub user: String,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// All rights.
    pub privileged: bool,
    /// Capabilities added, without the `CAP_` prefix.
    pub add: Vec<String>,
    /// Capabilities dropped.
    pub drop: Vec<String>,
    /// The image's files cannot be changed.
    pub read_only_root: bool,
    /// setuid programs gain nothing.
    pub no_new_privileges: bool,
    /// Which system calls are open.
    pub seccomp: Seccomp,
    /// Which AppArmor profile holds.
    pub app_armor: AppArmor,
    /// `user:..`, `role:..`, `type:..`, `level:..` of SELinux; empty leaves the runtime's choice.
    pub se_linux: Vec<String>,
}

/// A seccomp profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// The runtime's own.
    #[default]
    Default,
    /// None: all are open.
    Unconfined,
    /// The one in this file of the node.
    Localhost(PathBuf),
}

/// An AppArmor profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AppArmor {
    /// The runtime's own, on nodes that have AppArmor.
    #[default]
    Unasked,
    /// The runtime's own; a node without AppArmor will not do.
    Default,
    /// None.
    Unconfined,
    /// The one that the node's kernel has under this name.
    Localhost(String),
}

/// What the runtime holds of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Sandboxes, newest attempt first.
    pub sandboxes: Vec<Sandbox>,
    /// Containers, newest first.
    pub containers: Vec<Container>,
}

/// A sandbox that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Sandbox {
    /// Runtime id.
    pub id: String,
    /// See [`SandboxSpec::attempt`].
    pub attempt: u32,
    /// Its process, while it runs: the way to its namespaces.
    pub pid: Option<i32>,
    /// See [`SandboxSpec::address`].
    pub address: Option<Ipv4Addr>,
    /// When it was created.
    pub created: Timestamp,
}

/// A container that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Runtime id.
    pub id: String,
    /// Container name within the pod.
    pub name: String,
    /// See [`ContainerSpec::attempt`].
    pub attempt: u32,
    /// The sandbox it joined.
    pub sandbox: String,
    /// See [`ContainerSpec::hash`].
    pub hash: String,
    /// Image reference it was created from.
    pub image: String,
    /// `docker-pullable://repo@sha256:..` or `docker://sha256:..`.
    pub image_id: String,
    /// Whether it has a terminal, so that its log has one stream only.
    pub tty: bool,
    /// When it was created.
    pub created: Timestamp,
    /// What it does.
    pub state: ContainerState,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerState {
    /// Created and not yet started.
    Created,
    /// Running.
    Running {
        /// Since when.
        started: Timestamp,
    },
    /// Ended, or never able to start.
    Exited(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// Exit code; 128 + n for signal n.
    pub code: i32,
    /// One word: `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`.
    pub reason: String,
    /// The termination message.
    pub message: String,
    /// When it started; absent when it never did.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Timestamp,
}

/// An image that is present.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// `sha256:..`.
    pub id: String,
    /// See [`Container::image_id`].
    pub reference_id: String,
    /// The user it runs as, `uid[:gid]` or names; empty is root.
    pub user: String,
    /// Bytes.
    pub size: i64,
}

/// Who asks a registry for an image.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Registry.
    pub server: String,
    /// User.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// Stands in for the two.
    pub identity_token: String,
}

/// Says nothing that is secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("server", &self.server).field("username", &self.username).finish()
    }
}

/// A pod of which the runtime holds something.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRecord {
    /// The pod.
    pub pod: PodId,
    /// Addresses of its running sandboxes.
    pub addresses: Vec<Ipv4Addr>,
    /// Grace period that it was given, in seconds.
    pub grace_seconds: i64,
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only lines after this time.
    pub since: Option<Timestamp>,
    /// Only so many last lines.
    pub tail: Option<u64>,
    /// Each line begins with its time, RFC 3339 with nanoseconds.
    pub timestamps: bool,
    /// See [`Container::tty`]: the log is read as it was written.
    pub tty: bool,
}

/// What a command in a container came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// Exit code.
    pub code: i64,
    /// Standard output and error, as they came; the first 10 KiB.
    pub output: String,
}

/// Which engine runs the containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// `docker://20.10.24`.
    pub id: String,
}
