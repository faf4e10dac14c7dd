use std::os::unix::net::UnixListener;

use super::*;

/// A place that looks as our engine leaves it, and the traces in it.
fn after_an_engine() -> (tempfile::TempDir, [PathBuf; 3]) {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for dir in ["etc/docker", "opt/containerd/bin", "opt/containerd/lib"] {
        std::fs::create_dir_all(at(dir)).unwrap();
    }
    std::fs::write(at("etc/docker/key.json"), "{}").unwrap();
    let traces = [at("etc/docker/key.json"), at("etc/docker"), at("opt/containerd")];
    (root, traces)
}

#[test]
fn what_only_our_engine_left_goes() {
    let (root, traces) = after_an_engine();
    let outcome = remove_unless(None, &traces).unwrap();
    assert_eq!(outcome, Outcome { removed: traces.to_vec(), kept: Vec::new() });
    assert!(!root.path().join("etc/docker").exists() && !root.path().join("opt/containerd").exists());
    assert_eq!(remove_unless(None, &traces).unwrap(), Outcome::default(), "a second time there is nothing");
}

#[test]
fn a_file_that_somebody_wrote_since_survives_with_its_directories() {
    let (root, traces) = after_an_engine();
    let theirs = [root.path().join("etc/docker/daemon.json"), root.path().join("opt/containerd/bin/plugin")];
    for file in &theirs {
        std::fs::write(file, "theirs").unwrap();
    }
    let outcome = remove_unless(None, &traces).unwrap();
    assert_eq!(outcome.removed, [traces[0].clone()], "the engine's own key is known by its name");
    let kept: Vec<_> = outcome.kept.iter().map(|(path, reason)| (path.clone(), reason.as_str())).collect();
    let reasons = theirs.clone().map(|file| format!("{} is not ours", file.display()));
    assert_eq!(kept, [(traces[1].clone(), reasons[0].as_str()), (traces[2].clone(), reasons[1].as_str())]);
    assert!(theirs.iter().all(|file| file.exists()));
    assert!(root.path().join("opt/containerd/lib").exists(), "a directory in use is left whole");
}

#[test]
fn a_record_with_the_directory_before_its_key_is_cleaned_too() {
    let (_root, [key, dir, _]) = after_an_engine();
    let outcome = remove_unless(None, &[dir.clone(), key.clone()]).unwrap();
    assert_eq!(outcome.removed, [key, dir]);
}

#[test]
fn the_directories_of_a_live_engine_survive() {
    let (root, traces) = after_an_engine();
    let outcome = remove_unless(Some("containerd (process 7)"), &traces).unwrap();
    assert_eq!(outcome.removed, Vec::<PathBuf>::new());
    assert_eq!(outcome.kept.len(), traces.len());
    assert!(outcome.kept.iter().all(|(_, reason)| reason == "containerd (process 7) runs"));
    assert!(root.path().join("etc/docker/key.json").exists() && root.path().join("opt/containerd/lib").exists());
}

#[test]
fn a_socket_stays_while_somebody_listens_and_goes_after() {
    let root = tempfile::tempdir().unwrap();
    let trace = root.path().join("containerd");
    std::fs::create_dir_all(trace.join("s")).unwrap();
    let socket = trace.join("s/shim");
    let listener = UnixListener::bind(&socket).unwrap();
    let outcome = remove_unless(None, std::slice::from_ref(&trace)).unwrap();
    assert_eq!(outcome.kept, [(trace.clone(), format!("{} is not ours", socket.display()))]);
    drop(listener);
    assert_eq!(remove_unless(None, std::slice::from_ref(&trace)).unwrap().removed, std::slice::from_ref(&trace));
    assert!(!trace.exists());
}

#[test]
fn a_link_in_a_trace_is_not_followed() {
    let (root, traces) = after_an_engine();
    let elsewhere = root.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.path().join("opt/containerd/link")).unwrap();
    let outcome = remove_unless(None, &traces[2..]).unwrap();
    assert_eq!(outcome.removed, Vec::<PathBuf>::new());
    assert!(elsewhere.exists());
}

#[test]
fn engines_are_known_by_the_names_of_their_processes() {
    let proc = tempfile::tempdir().unwrap();
    let process = |pid: &str, name: &str| {
        std::fs::create_dir(proc.path().join(pid)).unwrap();
        std::fs::write(proc.path().join(pid).join("comm"), format!("{name}\n")).unwrap();
    };
    process("1", "init");
    process("sys", "dockerd");
    assert_eq!(running_engine(proc.path()), None);
    process("11", "dockerd");
    std::fs::write(proc.path().join("11/stat"), "11 (dockerd) Z 1 11 11 0").unwrap();
    assert_eq!(running_engine(proc.path()), None, "it was killed and only its parent has not looked");
    process("12", "containerd-shim");
    assert_eq!(running_engine(proc.path()).as_deref(), Some("containerd-shim (process 12)"));
}

#[test]
fn the_socket_of_a_killed_engine_goes_and_that_of_a_live_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let outcome = remove_unless(None, std::slice::from_ref(&socket)).unwrap();
    assert_eq!(outcome.kept, [(socket.clone(), "somebody listens there".to_owned())]);
    drop(listener);
    assert_eq!(remove_unless(None, std::slice::from_ref(&socket)).unwrap().removed, std::slice::from_ref(&socket));
    assert!(!socket.exists());
}
