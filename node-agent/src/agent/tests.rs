use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::config::Cli;

fn flags(line: &str) -> Flags {
    Cli::try_parse_from(line.split_whitespace()).expect("it parses").flags
}

#[test]
fn one_folder_has_one_agent() {
    let folder = TempDir::new().expect("a folder");
    let first = lock(folder.path(), Duration::ZERO).expect("free");
    let error = lock(folder.path(), Duration::from_millis(120)).expect_err("taken").to_string();
    assert!(error.starts_with("another agent is running with /"), "{error}");
    // One that is just ending is waited for.
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lock(folder.path(), Duration::from_secs(20)).is_ok());
        drop(first);
        waiting.join().expect("no panic")
    });
    assert!(waiting);
}

#[test]
fn the_state_is_for_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("deep/state");
    make_state_dir(&path).expect("made");
    make_state_dir(&path).expect("there already");
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_node_is_what_its_flags_say() {
    let flags = flags("agent --node-name Node-1 --node-ip 192.0.2.7");
    let identity = identity(&flags).await.expect("an identity");
    assert_eq!(identity, Identity { name: "Node-1".into(), address: Ipv4Addr::new(192, 0, 2, 7), port: 10250 });
    assert_eq!(listen_at(&flags, &identity), SocketAddr::from(([192, 0, 2, 7], 10250)));
}

#[tokio::test]
async fn a_node_without_flags_is_called_like_its_host() {
    let flags = flags("agent --listen 127.0.0.1:7000");
    let identity = identity(&flags).await.expect("an identity");
    assert!(!identity.name.is_empty() && identity.name == identity.name.to_lowercase());
    assert_eq!((identity.port, listen_at(&flags, &identity)), (7000, SocketAddr::from(([127, 0, 0, 1], 7000))));
}

#[tokio::test]
async fn a_part_that_ends_before_it_is_told_to_is_broken() {
    let stop = CancellationToken::new();
    assert!(!lasts(async {}, &stop).await, "half an agent must not go on");
    assert!(!lasts(async { panic!("planned") }, &stop).await);
    let told = stop.clone();
    assert!(lasts(async move { told.cancel() }, &stop).await);
    assert!(!lasts(async { panic!("planned") }, &stop).await, "not even while the agent ends");
}
