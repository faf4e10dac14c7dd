//! The programs that building, running and testing need, and Debian's packages that bring them.
//!
//! A table: what it is, why it is wanted, how to see that it is there. Never: installs.

use std::path::Path;

use crate::cmd::{Cmd, find_program};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Need {
    /// What is looked for.
    pub(crate) what: &'static str,
    /// What it is for.
    pub(crate) why: &'static str,
    /// The packages that bring it on Debian 12.
    pub(crate) packages: &'static [&'static str],
    /// Where it is, when it is there.
    pub(crate) find: fn() -> Option<String>,
}

/// Everything but the BPF toolchain, which is a story of its own.
pub(crate) const NEEDS: &[Need] = &[
    Need { what: "C compiler", why: "links programs", packages: &["gcc", "libc6-dev"], find: || program("cc") },
    Need {
        what: "protoc",
        why: "compiles etcd's interface",
        packages: &["protobuf-compiler", "libprotobuf-dev"],
        find: protoc,
    },
    Need { what: "Docker engine", why: "runs containers", packages: &["docker.io", "containerd"], find: docker },
    Need {
        what: "etcd",
        why: "the store of `up --store etcd` and of tests",
        packages: &["etcd-server"],
        find: || program("etcd"),
    },
    Need { what: "etcdctl", why: "looks into etcd", packages: &["etcd-client"], find: || program("etcdctl") },
    Need {
        what: "kubectl",
        why: "drives the cluster",
        packages: &["kubernetes-client"],
        find: super::kubectl::describe,
    },
    Need {
        what: "Python client",
        why: "the official client of the API, for a scenario",
        packages: &["python3-kubernetes"],
        find: python_client,
    },
    Need { what: "ip", why: "network namespaces of tests", packages: &["iproute2"], find: || program("ip") },
    Need {
        what: "iptables",
        why: "masquerades what pods send out",
        packages: &["iptables"],
        find: || program("iptables"),
    },
    Need {
        what: "busybox",
        why: "the tools inside the sample's pods",
        packages: &["busybox-static"],
        find: static_busybox,
    },
    Need {
        what: "bpftool",
        why: "shows loaded programs and maps",
        packages: &["bpftool"],
        find: || program("bpftool"),
    },
    Need { what: "curl", why: "calls the server and the sample", packages: &["curl"], find: || program("curl") },
    Need { what: "dig", why: "asks the cluster's DNS", packages: &["bind9-dnsutils"], find: || program("dig") },
];

fn program(name: &str) -> Option<String> {
    find_program(name).map(|file| file.display().to_string())
}

/// Debian's Python: another one first in the PATH would not see Debian's packages.
fn python_client() -> Option<String> {
    let version = "import kubernetes; print(kubernetes.__version__)";
    let version = Cmd::new("/usr/bin/python3").args(["-c", version]).read().ok()?;
    Some(format!("version {}", version.trim()))
}

/// The compiler alone is not enough: etcd's interface imports Google's well-known types.
fn protoc() -> Option<String> {
    let file = find_program("protoc")?;
    let prefix = file.parent()?.parent()?;
    let includes =
        [prefix.join("include"), Path::new("/usr/include").to_owned(), Path::new("/usr/local/include").to_owned()];
    let complete = includes.iter().any(|dir| dir.join("google/protobuf/descriptor.proto").exists());
    complete.then(|| file.display().to_string())
}

/// An engine that answers is as good as one that `up` can start; both need the command-line client.
fn docker() -> Option<String> {
    let client = find_program("docker")?;
    if let Ok(version) = Cmd::new(client).args(["version", "--format", "{{.Server.Version}}"]).read() {
        return Some(format!("answers, version {version}"));
    }
    program("dockerd").map(|file| format!("{file} (`up` starts it)"))
}

/// It is copied into an image without libraries, so it must be the static build.
fn static_busybox() -> Option<String> {
    let file = find_program("busybox")?;
    let needs_libraries = Cmd::new("ldd").arg(&file).succeeds();
    (!needs_libraries).then(|| file.display().to_string())
}
