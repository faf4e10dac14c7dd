//! Whom a command's end may hit. That it ends is tested with a real engine.

use std::{fs, process::Command};

use nix::unistd::Pid;

use super::kill_in;

#[test]
fn only_a_process_of_the_container_is_killed() {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("a process");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a number"));
    for other in ["", "0123456789abcdef"] {
        kill_in(pid, other);
        assert!(child.try_wait().expect("a state").is_none(), "it is not of {other:?}");
    }
    // The cgroup it is in stands for the container.
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("groups");
    kill_in(pid, groups.lines().next().expect("a group"));
    assert!(!child.wait().expect("an end").success());
}
