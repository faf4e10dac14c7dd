//! `store copy` with real programs: a cluster changes its store and nobody notices.

use std::{path::Path, process::Stdio, time::Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams, WatchParams},
};
use serde_json::json;

use crate::bed::{DEADLINE, Etcd, Server, output, program};

fn etcd_flags(etcd: &Etcd) -> [&str; 4] {
    ["--store", "etcd", "--etcd-endpoints", &etcd.url]
}

/// Copies, and gives the exit status with what was said.
fn copy(dir: &Path, etcd: &Etcd, from: &str, to: &str, more: &[&str]) -> (bool, String, String) {
    let state = dir.join("server");
    let state = state.to_str().unwrap();
    let arguments =
        ["store", "copy", "--from", from, "--to", to, "--state-dir", state, "--etcd-endpoints", etcd.url.as_str()];
    let output = output(&[&arguments[..], more].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn create_map(server: &Server, name: &str) -> ConfigMap {
    let map = json!({ "metadata": { "name": name }, "data": { "name": name } });
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap()
}

async fn create_service(server: &Server, name: &str) -> String {
    let service = json!({ "metadata": { "name": name }, "spec": { "ports": [{ "port": 80 }] } });
    let services = Api::<Service>::default_namespaced(server.client().await);
    let made = services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    made.spec.unwrap().cluster_ip.unwrap()
}

async fn newest(server: &Server) -> u64 {
    let maps = Api::<ConfigMap>::all(server.client().await).list(&ListParams::default()).await.unwrap();
    maps.metadata.resource_version.unwrap().parse().unwrap()
}

/// A client that remembers a revision is either served from it on or told to list again.
async fn watch_from(server: &Server, revision: u64) -> Result<(), u16> {
    let maps = Api::<ConfigMap>::all(server.client().await);
    let watch = maps.watch(&WatchParams::default().timeout(1), &revision.to_string()).await.unwrap();
    let mut watch = Box::pin(watch);
    match futures::StreamExt::next(&mut watch).await {
        None => Ok(()),
        Some(Ok(kube::api::WatchEvent::Error(status))) => Err(status.code),
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_moves_to_etcd_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    let server = Server::start(dir.path(), &[]);
    let (first, address) = (create_map(&server, "first").await, create_service(&server, "one").await);

    let (is_done, _, said) = copy(dir.path(), &etcd, "embedded", "etcd", &[]);
    assert!(!is_done && said.contains("store.redb is in use by another server; stop that server"), "{said}");
    let before = newest(&server).await;
    assert!(server.stop().0.success());
    let (is_done, told, said) = copy(dir.path(), &etcd, "embedded", "etcd", &[]);
    assert!(is_done, "{said}");
    assert!(told.starts_with("copied ") && told.contains(" claims as of revision "), "{told}");

    let server = Server::start(dir.path(), &etcd_flags(&etcd));
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    let found = maps.get("first").await.unwrap();
    assert_eq!((found.uid(), &found.data), (first.uid(), &first.data));
    assert!(newest(&server).await >= before, "revisions do not go back");
    assert_eq!(watch_from(&server, before).await, Err(410), "a past that etcd does not know");
    // The address is still taken.
    let other = create_service(&server, "two").await;
    assert_ne!(other, address);
    create_map(&server, "second").await;

    server.says("leading: controllers and scheduler run here").await;
    let (is_done, _, said) = copy(dir.path(), &etcd, "etcd", "embedded", &["--overwrite"]);
    assert!(!is_done && said.contains(" uses the cluster in etcd; stop all servers"), "{said}");
    let before = newest(&server).await;
    assert!(server.stop().0.success());
    let (is_done, _, said) = copy(dir.path(), &etcd, "etcd", "embedded", &[]);
    assert!(!is_done && said.contains("in the target already") && said.contains("add --overwrite"), "{said}");
    let (is_done, _, said) = copy(dir.path(), &etcd, "etcd", "embedded", &["--overwrite"]);
    assert!(is_done, "{said}");

    let server = Server::start(dir.path(), &[]);
    assert!(newest(&server).await >= before);
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    assert_eq!(maps.get("first").await.unwrap().uid(), first.uid());
    assert!(maps.get("second").await.is_ok());
    let third = create_service(&server, "three").await;
    assert!(third != address && third != other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_killed_is_no_cluster_until_it_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    let server = Server::start(dir.path(), &[]);
    create_map(&server, "first").await;
    assert!(server.stop().0.success());

    // Killed as soon as it has begun to write.
    let state = dir.path().join("server");
    let arguments = ["store", "copy", "--from", "embedded", "--to", "etcd", "--etcd-endpoints", &etcd.url];
    let mut client = etcd_client::Client::connect([&etcd.url], None).await.unwrap();
    let mut is_marked = false;
    for _ in 0..20 {
        client.delete("/registry/", Some(etcd_client::DeleteOptions::new().with_prefix())).await.unwrap();
        let mut copy = program(&arguments);
        let copy = copy.arg("--state-dir").arg(&state).arg("--overwrite").stdout(Stdio::null()).stderr(Stdio::null());
        let mut copy = copy.spawn().unwrap();
        let since = Instant::now();
        while since.elapsed() < DEADLINE && copy.try_wait().unwrap().is_none() {
            if client.get("/registry/copying", None).await.unwrap().count() > 0 {
                break;
            }
        }
        copy.kill().unwrap();
        copy.wait().unwrap();
        is_marked = client.get("/registry/copying", None).await.unwrap().count() > 0;
        if is_marked {
            break;
        }
    }
    assert!(is_marked, "it is always done before it can be killed");

    let refused = output(
        &[&["--listen", "127.0.0.1:0", "--state-dir", state.to_str().unwrap()], &etcd_flags(&etcd)[..]].concat(),
    );
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("has not come to its end"), "{said}");
    let (is_done, _, said) = copy(dir.path(), &etcd, "embedded", "etcd", &[]);
    assert!(!is_done && said.contains("add --overwrite to make it again"), "{said}");
    let (is_done, _, said) = copy(dir.path(), &etcd, "embedded", "etcd", &["--overwrite"]);
    assert!(is_done, "{said}");
    let server = Server::start(dir.path(), &etcd_flags(&etcd));
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    assert!(maps.get("first").await.is_ok());
}

#[test]
fn there_must_be_something_to_copy() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    let (is_done, _, said) = copy(dir.path(), &etcd, "embedded", "etcd", &[]);
    assert!(!is_done && said.contains("there is no embedded store"), "{said}");
    let (is_done, _, said) = copy(dir.path(), &etcd, "etcd", "embedded", &[]);
    assert!(
        !is_done && said.contains("there is nothing below /registry/ in the source; is --etcd-prefix right?"),
        "{said}"
    );
    assert!(!dir.path().join("server/store.redb").exists());
}
