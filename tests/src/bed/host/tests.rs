//! A bed is only as good as what it leaves behind: nothing.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use super::{FAR_AWAY, Host};
use crate::bed::{cgroup::cgroup2_mount, leftovers, netns::Netns, process::run};

/// Everything that a host of this name consists of.
fn places(name: &str) -> Vec<PathBuf> {
    let cgroup = cgroup2_mount().expect("cgroup2").join(name);
    vec![Path::new("/run/netns").join(name), cgroup, std::env::temp_dir().join(name)]
}

fn busy(mut host: Host) -> Host {
    let mut command = host.command("sleep");
    host.spawn("sleeper", command.arg("600")).expect("sleeper");
    fs::create_dir(host.dir().join("mnt")).expect("mount point");
    run(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(host.dir().join("mnt"))).expect("mount");
    host
}

fn assert_gone(name: &str) {
    for place in places(name) {
        assert!(!place.exists(), "{} is left", place.display());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(name), "{mounts}");
}

#[test]
fn a_host_is_gone_when_it_is_dropped() {
    let host = busy(Host::new().expect("host"));
    let name = host.name().to_owned();
    assert!(places(&name).iter().all(|place| place.exists()), "{:?}", places(&name));
    drop(host);
    assert_gone(&name);
}

#[test]
fn a_host_of_a_killed_process_is_removed_by_the_next() {
    // Nobody else may find it first.
    leftovers::sweep();
    // A process that has ended, and the host that it would have made.
    let mut ended = Command::new("true").spawn().expect("a process");
    ended.wait().expect("it ends");
    let name = |letter: char| format!("np{letter}{}-0", ended.id());
    let netns = |letter| Netns::named(name(letter)).expect("namespace");
    std::mem::forget(busy(Host::between(netns('t'), netns('w')).expect("host")));
    assert_eq!(leftovers::of_the_dead().iter().filter(|dead| [name('t'), name('w')].contains(dead)).count(), 2);
    for name in [name('t'), name('w')] {
        leftovers::remove(&name);
        assert_gone(&name);
    }
}

#[test]
fn a_host_sees_the_world_and_no_further() {
    let host = Host::new().expect("host");
    let connect = |address: Ipv4Addr| {
        host.netns().run(|| TcpStream::connect((address, 1)).map(drop).expect_err("nobody listens").kind())
    };
    assert_eq!(connect(FAR_AWAY), ErrorKind::ConnectionRefused);
    assert_eq!(connect(Ipv4Addr::new(203, 0, 113, 1)), ErrorKind::NetworkUnreachable);
}
