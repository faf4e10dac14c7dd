//! Programs with other clients than `kubectl`, which scenarios start on the cluster's host.

mod kube_rs;

use std::process::Command;

use anyhow::Result;
use nodeplane_tests::bed::{cluster::Cluster, process::run};

pub(crate) use kube_rs::run as run_kube_rs;

use crate::probe::From;

const PYTHON_PROGRAM: &str = include_str!("python_client.py");

/// Runs the program with the official Python client (Debian's `python3-kubernetes`).
pub(crate) fn python(cluster: &Cluster, namespace: &str) -> Result<String> {
    let mut python = From::Node.program(cluster, "/usr/bin/python3")?;
    run(at_home(cluster, &mut python).args(["-c", PYTHON_PROGRAM, namespace]))
}

/// Runs the program with kube-rs.
pub(crate) fn kube_rs(cluster: &Cluster, namespace: &str) -> Result<String> {
    let mut program = From::Node.program(cluster, std::env::current_exe()?)?;
    run(at_home(cluster, &mut program).args(["probe", "kube-rs", namespace]))
}

fn at_home<'a>(cluster: &Cluster, command: &'a mut Command) -> &'a mut Command {
    command.env("KUBECONFIG", cluster.kubeconfig()).env("HOME", cluster.host().dir())
}
