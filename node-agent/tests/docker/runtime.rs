//! The runtime alone: what it makes of Docker.

use std::{net::Ipv4Addr, time::Duration};

use futures::{StreamExt, TryStreamExt};
use nodeplane_node_agent::pods::runtime::{
    ContainerRuntime, ContainerSpec, ContainerState, Exit, HostNamespaces, LogOptions, Mount, PodId, Propagation,
    Resources, RuntimeError, Sandbox, SandboxSpec, Seccomp, Security, docker::DockerRuntime,
};

use crate::bed::{IMAGE, Machine, observed, parse, pod_id};

fn sandbox_of(pod: &PodId) -> SandboxSpec {
    SandboxSpec {
        pod: pod.clone(),
        attempt: 0,
        hostname: pod.name.clone(),
        address: Some(Ipv4Addr::new(10, 0, 0, 7)),
        host: HostNamespaces::default(),
        sysctls: Vec::new(),
        grace_seconds: 17,
    }
}

fn shell(name: &str, script: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        hash: "h".to_owned(),
        image: IMAGE.to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        ..ContainerSpec::default()
    }
}

async fn run(runtime: &DockerRuntime, pod: &PodId, sandbox: &Sandbox, spec: &ContainerSpec) -> String {
    let id = runtime.create_container(pod, &sandbox.id, spec).await.expect("a container");
    runtime.start_container(&id).await.expect("a start");
    id
}

async fn log(runtime: &DockerRuntime, id: &str, options: &LogOptions) -> String {
    let pieces: Vec<_> = runtime.logs(id, options).try_collect().await.expect("a log");
    String::from_utf8_lossy(&pieces.concat()).into_owned()
}

/// How the pod's container of this name ended.
async fn end_of(machine: &Machine, runtime: &DockerRuntime, pod: &PodId, name: &str) -> Exit {
    for _ in 0..3000 {
        let all = observed(runtime, pod).await;
        let container = all.containers.into_iter().find(|container| container.name == name).expect("a container");
        if let ContainerState::Exited(exit) = container.state {
            return exit;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{name} does not end:\n{}", machine.docker(&["ps", "-a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_holds_what_its_containers_share() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let mut events = runtime.events();
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    assert_eq!(sandbox.address, Some(Ipv4Addr::new(10, 0, 0, 7)));
    let pid = sandbox.pid.expect("a process");
    let moved = tokio::time::timeout(Duration::from_secs(30), events.next()).await.expect("an event");
    assert_eq!(moved.as_deref(), Some(pod.uid.as_str()));

    let id = run(&runtime, &pod, &sandbox, &shell("app", "sleep 1000")).await;
    let all = observed(&runtime, &pod).await;
    assert_eq!(all.sandboxes.as_slice(), std::slice::from_ref(&sandbox));
    assert_eq!((all.containers.len(), &all.containers[0].id, &all.containers[0].sandbox), (1, &id, &sandbox.id));
    assert!(matches!(all.containers[0].state, ContainerState::Running { .. }));
    assert!(all.containers[0].image_id.starts_with("docker://sha256:"), "{}", all.containers[0].image_id);
    let ask = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let limit = Duration::from_secs(30);
    let netns = runtime.exec(&id, &ask(&["readlink", "/proc/self/ns/net"]), limit).await.expect("an answer");
    let of_sandbox = std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("a namespace");
    assert_eq!(netns.output.trim(), of_sandbox.to_string_lossy());
    let hostname = runtime.exec(&id, &ask(&["hostname"]), limit).await.expect("an answer");
    assert_eq!((hostname.output.trim(), hostname.code), ("p", 0));
    let failed = runtime.exec(&id, &ask(&["sh", "-c", "echo oh >&2; exit 3"]), limit).await.expect("an answer");
    assert_eq!((failed.output.trim(), failed.code), ("oh", 3));
    let late = runtime.exec(&id, &ask(&["sleep", "1000"]), Duration::from_millis(100)).await;
    assert!(matches!(late, Err(RuntimeError::TimedOut(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_time_is_over_does_not_run_on() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let id = run(&runtime, &pod, &sandbox, &shell("app", "sleep 1000")).await;
    let command = ["sh", "-c", "sleep 4321 & wait"].map(str::to_owned);
    let late = runtime.exec(&id, &command, Duration::from_secs(2)).await;
    assert!(matches!(late, Err(RuntimeError::TimedOut(_))), "{late:?}");
    machine.until("the command is gone", |machine| !machine.docker(&["top", &id]).contains("4321")).await;
    assert!(machine.docker(&["top", &id]).contains("sleep 1000"), "and nothing else is");
    // One that has hardly begun is found, too.
    let late = runtime.exec(&id, &["sleep", "8765"].map(str::to_owned), Duration::from_millis(1)).await;
    assert!(matches!(late, Err(RuntimeError::TimedOut(_))), "{late:?}");
    machine.until("the command is gone", |machine| !machine.docker(&["top", &id]).contains("8765")).await;
    let limit = parse(&machine.docker(&["inspect", &id]))[0]["HostConfig"]["PidsLimit"].clone();
    assert_eq!(limit.as_i64(), Some(4096));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_labels_are_those_that_tools_know() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let spec = ContainerSpec { attempt: 2, ..shell("app", "sleep 1000") };
    let id = run(&runtime, &pod, &sandbox, &spec).await;
    let shown = parse(&machine.docker(&["inspect", &id]))[0].clone();
    assert_eq!(shown["Name"], "/k8s_app_p_default_uid-of-p_2");
    let labels = &shown["Config"]["Labels"];
    for (label, value) in [
        ("io.kubernetes.pod.name", "p"),
        ("io.kubernetes.pod.namespace", "default"),
        ("io.kubernetes.pod.uid", "uid-of-p"),
        ("io.kubernetes.container.name", "app"),
        ("io.kubernetes.docker.type", "container"),
        ("io.kubernetes.sandbox.id", &sandbox.id),
        ("annotation.io.kubernetes.container.restartCount", "2"),
        ("annotation.io.kubernetes.container.hash", "h"),
        ("io.nodeplane.node", "node-1"),
    ] {
        assert_eq!(labels[label], value, "{label}");
    }
    let shown = parse(&machine.docker(&["inspect", &sandbox.id]))[0].clone();
    assert_eq!(shown["Name"], "/k8s_POD_p_default_uid-of-p_0");
    assert_eq!(shown["HostConfig"]["NetworkMode"], "none");
    let records = runtime.pods().await.expect("pods");
    assert_eq!((records.len(), &records[0].pod, records[0].grace_seconds), (1, &pod, 17));
    assert_eq!(records[0].addresses, [Ipv4Addr::new(10, 0, 0, 7)]);

    // Somebody else's containers, and those of other nodes on this engine, are not seen.
    machine.docker(&["run", "-d", "--network=none", "--label=io.kubernetes.pod.uid=x", IMAGE]);
    machine.docker(&["run", "-d", "--network=none", "--label=io.nodeplane.node=node-2", IMAGE]);
    let all =
        ["--label=io.nodeplane.node=node-1", "--label=io.kubernetes.pod.uid=y", "--label=io.kubernetes.pod.name=y"];
    let run = ["run", "-d", "--network=none", "--label=io.kubernetes.pod.namespace=default"];
    machine.docker(&[run.as_slice(), &all, &[IMAGE]].concat());
    assert_eq!(runtime.pods().await.expect("pods").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_as_they_were() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    for (name, script) in
        [("well", "exit 0"), ("badly", "exit 3"), ("asked", "trap 'exit 9' TERM; while :; do sleep 0.1; done")]
    {
        run(&runtime, &pod, &sandbox, &shell(name, script)).await;
    }
    let well = end_of(&machine, &runtime, &pod, "well").await;
    assert_eq!((well.code, well.reason.as_str(), well.started.is_some()), (0, "Completed", true));
    let badly = end_of(&machine, &runtime, &pod, "badly").await;
    assert_eq!((badly.code, badly.reason.as_str()), (3, "Error"));
    let id = observed(&runtime, &pod).await.containers.into_iter().find(|one| one.name == "asked").expect("one").id;
    // A shell takes a moment to set its trap.
    machine.until("the shell loops", |machine| machine.docker(&["top", &id]).contains("sleep")).await;
    runtime.stop(&id, Duration::from_secs(30)).await.expect("an end");
    assert_eq!(end_of(&machine, &runtime, &pod, "asked").await.code, 9);

    let deaf = run(&runtime, &pod, &sandbox, &shell("deaf", "trap '' TERM; while :; do sleep 1; done")).await;
    machine.until("the shell loops", |machine| machine.docker(&["top", &deaf]).contains("sleep")).await;
    runtime.stop(&deaf, Duration::from_secs(1)).await.expect("an end");
    assert_eq!(end_of(&machine, &runtime, &pod, "deaf").await.code, 137);

    let none = ContainerSpec { command: vec!["/none".to_owned()], ..shell("none", "") };
    let id = runtime.create_container(&pod, &sandbox.id, &none).await.expect("a container");
    let refused = runtime.start_container(&id).await.expect_err("a refusal").to_string();
    assert!(refused.starts_with("Error response from daemon: ") && refused.contains("/none"), "{refused}");
    let end = end_of(&machine, &runtime, &pod, "none").await;
    assert_eq!((end.code, end.reason.as_str(), end.started), (127, "ContainerCannotRun", None));
    assert!(end.message.contains("/none"), "{}", end.message);

    runtime.stop(&sandbox.id, Duration::from_secs(30)).await.expect("an end");
    let took = parse(&machine.docker(&["inspect", &sandbox.id]))[0]["State"]["ExitCode"].clone();
    assert_eq!((took.as_i64(), observed(&runtime, &pod).await.sandboxes[0].pid), (Some(0), None), "it obeys at once");
    for _ in 0..2 {
        runtime.remove(&sandbox.id).await.expect("a removal");
        runtime.stop(&sandbox.id, Duration::ZERO).await.expect("nothing to end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_interrupted_is_made_anew() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let first = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let second = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox of the same name");
    assert_ne!(first.id, second.id);
    let app = shell("app", "sleep 1000");
    let created = runtime.create_container(&pod, &second.id, &app).await.expect("a container");
    assert!(matches!(observed(&runtime, &pod).await.containers[0].state, ContainerState::Created));
    let again = run(&runtime, &pod, &second, &app).await;
    assert_ne!(created, again);
    let all = observed(&runtime, &pod).await;
    assert_eq!((all.sandboxes.len(), all.containers.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_in_parts() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let id =
        run(&runtime, &pod, &sandbox, &shell("app", "echo one; echo two; echo three; sleep 2; echo four >&2")).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(log(&runtime, &id, &follow).await, "one\ntwo\nthree\nfour\n", "to its end");
    let tail = LogOptions { tail: Some(2), ..LogOptions::default() };
    assert_eq!(log(&runtime, &id, &tail).await, "three\nfour\n");
    let timed = log(&runtime, &id, &LogOptions { timestamps: true, ..LogOptions::default() }).await;
    for line in timed.lines() {
        let (time, _) = line.split_once(' ').expect("a time");
        time.parse::<jiff::Timestamp>().expect("a time");
    }
    let terminal = ContainerSpec { tty: true, ..shell("tty", "echo raw") };
    let id = run(&runtime, &pod, &sandbox, &terminal).await;
    // An engine that closes a log may forget what it read last to a follower.
    end_of(&machine, &runtime, &pod, "tty").await;
    let of_terminal = LogOptions { tty: true, ..LogOptions::default() };
    assert_eq!(log(&runtime, &id, &of_terminal).await, "raw\r\n");
    let odd = ContainerSpec { tty: true, ..shell("odd", "echo -en '\\001\\000\\000\\000\\377\\377\\377\\377 no end'") };
    let id = run(&runtime, &pod, &sandbox, &odd).await;
    end_of(&machine, &runtime, &pod, "odd").await;
    let pieces: Vec<_> = runtime.logs(&id, &of_terminal).try_collect().await.expect("a log");
    let odd = pieces.concat();
    assert!(odd.starts_with(&[1, 0, 0, 0]) && odd.ends_with(b" no end"), "{odd:?}");
    let missing = runtime.logs("none", &LogOptions::default()).try_next().await;
    assert!(matches!(missing, Err(RuntimeError::NotFound(_))), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_mounts_and_rights_reach_the_kernel() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let source = machine.path("shared");
    std::fs::create_dir(&source).expect("a directory");
    std::fs::write(source.join("file"), "content").expect("a file");
    let mut spec = shell(
        "app",
        "cat /data/file; echo; echo x 2>/dev/null >/data/new || echo read-only; id -u; id -g; id -G; echo $COLOR; \
         cat /proc/self/oom_score_adj",
    );
    spec.env = vec![("COLOR".to_owned(), "blue and green".to_owned())];
    spec.mounts = vec![Mount {
        source: source.to_string_lossy().into_owned(),
        target: "/data".to_owned(),
        read_only: true,
        propagation: Propagation::Private,
    }];
    spec.resources =
        Resources { cpu_shares: 512, cpu_quota: 50_000, cpu_period: 100_000, memory: 64 << 20, oom_score_adj: 900 };
    spec.security.user = "7:8".to_owned();
    spec.security.groups = vec!["9".to_owned()];
    let id = run(&runtime, &pod, &sandbox, &spec).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(log(&runtime, &id, &follow).await, "content\nread-only\n7\n8\n8 9\nblue and green\n900\n");
    let host = parse(&machine.docker(&["inspect", &id]))[0]["HostConfig"].clone();
    assert_eq!((host["Memory"].as_i64(), host["MemorySwap"].as_i64()), (Some(64 << 20), Some(64 << 20)));
    assert_eq!((host["CpuShares"].as_i64(), host["CpuQuota"].as_i64()), (Some(512), Some(50_000)));
    assert_eq!(host["RestartPolicy"]["Name"], "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seccomp_profile_of_the_node_holds() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let pod = pod_id("p");
    let sandbox = runtime.run_sandbox(&sandbox_of(&pod)).await.expect("a sandbox");
    let profile = machine.path("profile.json");
    let refuse = r#"{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}"#;
    let text = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{refuse}]}}"#);
    std::fs::write(&profile, text).expect("a file");
    let mut spec = shell("app", "busybox mkdir /new 2>/dev/null && echo made || echo refused");
    spec.security.seccomp = Seccomp::Localhost(profile);
    let id = run(&runtime, &pod, &sandbox, &spec).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(log(&runtime, &id, &follow).await, "refused\n");
    let plain = ContainerSpec { name: "plain".to_owned(), security: Security::default(), ..spec.clone() };
    let id = run(&runtime, &pod, &sandbox, &plain).await;
    assert_eq!(log(&runtime, &id, &follow).await, "made\n");
    spec.security.seccomp = Seccomp::Localhost(machine.path("none.json"));
    let refused = runtime.create_container(&pod, &sandbox.id, &spec).await.expect_err("a refusal").to_string();
    assert!(refused.contains("none.json"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_found_or_not() {
    let machine = Machine::new().await;
    let runtime = machine.runtime().await;
    let image = runtime.image(IMAGE).await.expect("an answer").expect("an image");
    assert!(image.id.starts_with("sha256:") && image.size > 0 && image.user.is_empty(), "{image:?}");
    assert_eq!(runtime.image("none:1").await.expect("an answer"), None);
    // Nobody listens there, on the machine's own loopback.
    let refused = runtime.pull("127.0.0.1:1/none:1", None).await.expect_err("a refusal").to_string();
    assert!(refused.contains("connection refused"), "{refused}");
    let invalid = runtime.pull("Not//Valid", None).await.expect_err("a refusal").to_string();
    assert!(invalid.contains("invalid reference format"), "{invalid}");
    assert!(runtime.version().await.expect("a version").id.starts_with("docker://"));
}
