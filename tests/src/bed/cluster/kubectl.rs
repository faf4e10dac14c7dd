//! The unmodified `kubectl`, as a user of the cluster calls it.
//!
//! In: arguments and manifests. Out: what it said, or an error with all that it said. Never: talks to
//! the API server without it, but for [`Cluster::raw`], where `kubectl` has no words.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Cluster, SERVER};
use crate::bed::process::{output, output_with_input, run};

/// What a `kubectl` call ended with.
#[derive(Debug)]
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    fn of(output: &Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code().context("kubectl was killed")?,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The output of a call that must have succeeded.
    ///
    /// # Errors
    /// With what it wrote when it failed.
    pub fn success(self, args: &[&str]) -> Result<String> {
        ensure!(self.code == 0, "kubectl {}: exit {}\n{}{}", args.join(" "), self.code, self.stdout, self.stderr);
        Ok(self.stdout)
    }

    /// The error text of a call that must have failed.
    ///
    /// # Errors
    /// With what it wrote when it succeeded.
    pub fn failure(self) -> Result<String> {
        ensure!(self.code != 0, "kubectl succeeded:\n{}", self.stdout);
        Ok(self.stderr)
    }
}

impl Cluster {
    /// A `kubectl` command line for this cluster.
    pub fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = self.host.command("kubectl");
        command
            // A home of its own: kubectl keeps what it learns about servers there.
            .env("HOME", self.path("home"))
            .env("KUBECONFIG", self.kubeconfig())
            .args(args);
        command
    }

    /// Runs `kubectl` to its end, whatever that is.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl(&self, args: &[&str]) -> Result<Answer> {
        Answer::of(&output(&mut self.kubectl_command(args))?)
    }

    /// Runs `kubectl` with a manifest on its standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl_with_input(&self, args: &[&str], manifest: &str) -> Result<Answer> {
        // What begins with a brace would be taken for JSON, also when it is YAML in flow style.
        let document = format!("---\n{manifest}");
        Answer::of(&output_with_input(&mut self.kubectl_command(args), &document)?)
    }

    /// Runs `kubectl`, which must succeed, and returns its output.
    ///
    /// # Errors
    /// With what it wrote when it fails.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.kubectl(args)?.success(args)
    }

    /// `kubectl apply -f -`, which must succeed.
    ///
    /// # Errors
    /// With what it wrote when it fails.
    pub fn apply(&self, namespace: &str, manifest: &str) -> Result<String> {
        let args = ["apply", "-n", namespace, "-f", "-"];
        self.kubectl_with_input(&args, manifest)?.success(&args)
    }

    /// `kubectl create -f -`, whatever comes of it.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub fn create(&self, namespace: &str, manifest: &str) -> Result<Answer> {
        self.kubectl_with_input(&["create", "-n", namespace, "-f", "-"], manifest)
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// With what `kubectl` wrote when it fails.
    pub fn create_namespace(&self, name: &str) -> Result<()> {
        let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.create(name, &manifest.to_string())?.success(&["create", "namespace", name])?;
        Ok(())
    }

    /// A cluster-scoped object as JSON.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn get(&self, what: &str, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&["get", what, name, "-o", "json"])?)?)
    }

    /// An object of a namespace as JSON.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn get_in(&self, namespace: &str, what: &str, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&["get", "-n", namespace, what, name, "-o", "json"])?)?)
    }

    /// The objects of a namespace that match a label selector (empty: all), as JSON.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn list(&self, namespace: &str, what: &str, selector: &str) -> Result<Vec<Value>> {
        let text = self.run(&["get", "-n", namespace, what, "-l", selector, "-o", "json"])?;
        let mut list: Value = serde_json::from_str(&text)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            other => bail!("items: {other}"),
        }
    }

    /// Waits for a Deployment's rollout.
    ///
    /// # Errors
    /// With the state of its pods when it does not finish.
    pub fn rollout(&self, namespace: &str, deployment: &str) -> Result<()> {
        let target = format!("deployment/{deployment}");
        let answer = self.kubectl(&["rollout", "status", "-n", namespace, &target, "--timeout=90s"])?;
        if answer.code != 0 {
            bail!("{answer:?}\n{}", self.kubectl(&["describe", "pods", "-n", namespace])?.stdout);
        }
        Ok(())
    }

    /// Waits until a pod is ready.
    ///
    /// # Errors
    /// When it is not within a minute.
    pub fn ready(&self, namespace: &str, pod: &str) -> Result<()> {
        self.run(&["wait", "-n", namespace, "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"])?;
        Ok(())
    }

    /// A `curl` command for a path of the API server, with the administrator's certificate: for
    /// headers and bodies that `kubectl` never sends.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub fn raw(&self, path: &str) -> Result<Command> {
        let mut command = self.host.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "60"]);
        for (flag, field) in [
            ("--cacert", "{.clusters[0].cluster.certificate-authority-data}"),
            ("--cert", "{.users[0].user.client-certificate-data}"),
            ("--key", "{.users[0].user.client-key-data}"),
        ] {
            command.arg(flag).arg(self.credential(flag, field)?);
        }
        command.arg(format!("{SERVER}{path}")).stdin(Stdio::null());
        Ok(command)
    }

    /// One field of the kubeconfig as a file.
    fn credential(&self, name: &str, field: &str) -> Result<PathBuf> {
        let file = self.path(&format!("admin{name}.pem"));
        if !file.exists() {
            let encoded = self.run(&["config", "view", "--raw", "-o", &format!("jsonpath={field}")])?;
            let decoded: k8s_openapi::ByteString = serde_json::from_value(encoded.into())?;
            // Scenarios run side by side: a file is there with all its bytes or not at all.
            let part = tempfile::NamedTempFile::new_in(self.host.dir())?;
            fs::write(part.path(), decoded.0)?;
            part.persist(&file)?;
        }
        Ok(file)
    }

    /// The JSON that the API server answers at a path.
    ///
    /// # Errors
    /// When it does not answer with JSON.
    pub fn raw_json(&self, path: &str, args: &[&str]) -> Result<Value> {
        let text = run(self.raw(path)?.args(args))?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }
}
