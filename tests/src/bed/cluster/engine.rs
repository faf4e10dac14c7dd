//! The container engine of the cluster's host, asked past Kubernetes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Cluster;
use crate::bed::{image, leftovers, process};

impl Cluster {
    /// Starts (or starts again) the container engine.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_engine(&mut self) -> Result<()> {
        let mut command = self.host.command("dockerd");
        command
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"])
            .args(["--userland-proxy=false", "--exec-opt", "native.cgroupdriver=cgroupfs", "--log-level=warn"])
            .args(["-H", &self.docker_url()])
            .arg("--cgroup-parent")
            .arg(self.host.container_cgroup_parent())
            .arg("--data-root")
            .arg(self.path("docker"))
            .arg("--exec-root")
            .arg(self.path("docker-exec"))
            .arg("--pidfile")
            .arg(self.path("docker.pid"));
        self.host.spawn("dockerd", &mut command)?;
        self.answers("dockerd", |cluster| cluster.docker(&["version"]).map(drop))
    }

    /// Starts the engine for the first time, with the image of the scenarios.
    pub(super) fn prepare_engine(&mut self) -> Result<()> {
        leftovers::note_absent_traces(self.host.dir())?;
        self.start_engine()?;
        self.import_image()
    }

    fn import_image(&self) -> Result<()> {
        let tar = self.path("hello.tar");
        image::write_hello(&tar)?;
        let command = r#"CMD ["/hello"]"#;
        self.docker(&["import", "--change", command, tar.to_str().context("path")?, image::HELLO])?;
        fs::remove_file(tar)?;
        Ok(())
    }

    pub(super) fn docker_url(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// Runs the engine's own client.
    ///
    /// # Errors
    /// With what it wrote when it fails.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        process::run(self.host.command("docker").args(["-H", &self.docker_url()]).args(args))
    }

    /// Runs a command in a pod's container, from outside of Kubernetes.
    ///
    /// # Errors
    /// With what it wrote when it fails.
    pub fn exec(&self, namespace: &str, pod: &str, command: &[&str]) -> Result<String> {
        let id = self.container(namespace, pod)?;
        self.docker(&[&["exec", &id], command].concat())
    }

    /// The engine's id of the pod's running application container.
    ///
    /// # Errors
    /// When none is running.
    pub fn container(&self, namespace: &str, pod: &str) -> Result<String> {
        self.running(namespace, pod, "container")
    }

    /// The engine's id of the pod's running sandbox.
    ///
    /// # Errors
    /// When it is not running.
    pub fn sandbox(&self, namespace: &str, pod: &str) -> Result<String> {
        self.running(namespace, pod, "podsandbox")
    }

    fn running(&self, namespace: &str, pod: &str, kind: &str) -> Result<String> {
        let pod_label = format!("label=io.kubernetes.pod.name={pod}");
        let namespace_label = format!("label=io.kubernetes.pod.namespace={namespace}");
        let kind_label = format!("label=io.kubernetes.docker.type={kind}");
        let filters = ["-f", &pod_label, "-f", &namespace_label, "-f", &kind_label];
        let ids = self.docker(&[&["ps", "-q", "--no-trunc"], &filters[..]].concat())?;
        let first = ids.lines().next().map(str::to_owned);
        first.with_context(|| format!("no {kind} of {namespace}/{pod} is running"))
    }

    /// The file that stands for a pod's network namespace.
    ///
    /// # Errors
    /// When its sandbox is not running.
    pub fn pod_netns(&self, namespace: &str, pod: &str) -> Result<PathBuf> {
        let id = self.sandbox(namespace, pod)?;
        let pid = self.docker(&["inspect", "-f", "{{.State.Pid}}", &id])?;
        Ok(Path::new("/proc").join(pid.trim()).join("ns/net"))
    }
}
