//! Two servers on one etcd: both serve, one moves the cluster, and the other takes over.

use std::time::{Duration, Instant};

use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::json;
use tempfile::TempDir;

use crate::bed::{DEADLINE, Etcd, Server, bearer, output, share_authority, token};

/// The latest that another server leads after the death of a leader: a lease and a look.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(17);
/// The same after an orderly end: far less than a lease, and enough for a busy machine.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);
const LEADS: &str = "leading: controllers and scheduler run here";
const STANDS: &str = "standing for election";
const GIVES_UP: &str = "not the leader any more";

struct Bed {
    etcd: Etcd,
    dirs: [TempDir; 2],
}

impl Bed {
    fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        Self { etcd: Etcd::start(dirs[0].path()), dirs }
    }

    fn start(&self, number: usize) -> Server {
        Server::start(self.dirs[number].path(), &["--store", "etcd", "--etcd-endpoints", &self.etcd.url])
    }

    /// The first server leads; the second one has its authority, and waits.
    async fn pair(&self) -> (Server, Server) {
        let first = self.start(0);
        first.says(LEADS).await;
        share_authority(self.dirs[0].path(), self.dirs[1].path());
        let second = self.start(1);
        second.says(STANDS).await;
        (first, second)
    }
}

async fn deploy(client: &Client, name: &str) {
    let labels = json!({ "app": name });
    let deployment = json!({ "metadata": { "name": name }, "spec": { "replicas": 2,
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c", "image": "img" }] } } } });
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    Api::default_namespaced(client.clone()).create(&PostParams::default(), &deployment).await.unwrap();
}

/// Waits until controllers have made the pods, and the scheduler has looked at them.
async fn deployed(client: &Client, name: &str) {
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let label = ListParams::default().labels(&format!("app={name}"));
    let looked_at = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "PodScheduled" && one.status == "False"))
    };
    let made = async {
        loop {
            let found = pods.list(&label).await.unwrap().items;
            assert!(found.len() <= 2, "more pods than asked for: two move the cluster");
            if found.len() == 2 && found.iter().all(looked_at) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, made).await.expect("the pods of the Deployment do not come");
}

async fn lease(client: &Client) -> Lease {
    Api::<Lease>::namespaced(client.clone(), "kube-system").get("nodeplane-controllers").await.unwrap()
}

async fn holder(client: &Client) -> Option<String> {
    lease(client).await.spec.and_then(|spec| spec.holder_identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_dies_the_other_server_takes_over() {
    let bed = Bed::new();
    let (first, second) = bed.pair().await;
    let client = second.client().await;
    // What is asked of one server is done by the other.
    deploy(&client, "before").await;
    deployed(&client, "before").await;
    assert!(!second.log().contains(LEADS), "{}", second.log());
    let before = holder(&client).await.unwrap();
    let since = Instant::now();
    first.kill();
    deploy(&client, "after").await;
    second.says(LEADS).await;
    assert!(since.elapsed() < TAKEN_OVER_WITHIN, "{:?}", since.elapsed());
    deployed(&client, "after").await;
    let spec = lease(&client).await.spec.unwrap();
    assert_ne!(spec.holder_identity, Some(before));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_gives_up_and_leads_again_when_the_other_one_ends() {
    let bed = Bed::new();
    let (first, second) = bed.pair().await;
    let client = second.client().await;
    first.signal("STOP");
    second.says(LEADS).await;
    let holding = holder(&client).await;
    first.signal("CONT");
    first.says(GIVES_UP).await;
    // It serves all the same, and asks the other one's controllers.
    let client = first.client().await;
    deploy(&client, "one").await;
    deployed(&client, "one").await;
    assert_eq!(holder(&client).await, holding);
    assert_eq!(first.log().matches(LEADS).count(), 1);
    let (status, log) = tokio::task::spawn_blocking(move || second.stop()).await.unwrap();
    assert!(status.success(), "{log}");
    let since = Instant::now();
    first.says_times(LEADS, 2).await;
    assert!(since.elapsed() < HANDED_OVER_WITHIN, "{:?}", since.elapsed());
    deploy(&client, "two").await;
    deployed(&client, "two").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_authority_is_refused() {
    let bed = Bed::new();
    let first = bed.start(0);
    first.says(LEADS).await;
    let state = bed.dirs[1].path().join("server");
    let state = state.to_str().unwrap();
    let flags = ["--listen", "127.0.0.1:0", "--state-dir", state, "--store", "etcd", "--etcd-endpoints", &bed.etcd.url];
    let refused = tokio::task::block_in_place(|| output(&flags));
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    let expected = format!(
        "error: --state-dir {state}: its certificate authority is not that of the cluster in etcd; copy pki/ca.crt, \
         pki/ca.key and pki/sa.key from the --state-dir of another server of the cluster, or, if that certificate \
         authority is lost for good, remove /registry/objects/configmaps/kube-system/extension-apiserver-authentication from etcd"
    );
    assert_eq!(said.lines().last(), Some(expected.as_str()));
    // Done as told, the same directory is good.
    share_authority(bed.dirs[0].path(), bed.dirs[1].path());
    let second = bed.start(1);
    assert_eq!(holder(&second.client().await).await, holder(&first.client().await).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_accept_each_others_tokens_and_nobody_has_another_key() {
    let bed = Bed::new();
    let first = bed.start(0);
    first.says(LEADS).await;
    let token = token(&first.client().await).await;
    share_authority(bed.dirs[0].path(), bed.dirs[1].path());
    let state = bed.dirs[1].path().join("server");
    std::fs::remove_file(state.join("pki/sa.key")).unwrap();
    let state = state.to_str().unwrap();
    let flags = ["--listen", "127.0.0.1:0", "--state-dir", state, "--store", "etcd", "--etcd-endpoints", &bed.etcd.url];
    let refused = tokio::task::block_in_place(|| output(&flags));
    let said = String::from_utf8(refused.stderr).unwrap();
    let words =
        format!("error: --state-dir {state}: its key for service account tokens is not that of the cluster in etcd");
    assert!(!refused.status.success() && said.contains(&words), "{said}");
    share_authority(bed.dirs[0].path(), bed.dirs[1].path());
    let second = bed.start(1);
    let version = http::Request::get("/apis").body(Vec::new()).unwrap();
    bearer(&second, &token).await.request_text(version).await.unwrap();
}

#[tokio::test]
async fn the_only_server_of_a_store_moves_the_cluster_at_once_and_without_a_lease() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let client = server.client().await;
    deploy(&client, "one").await;
    deployed(&client, "one").await;
    assert!(Api::<Lease>::all(client).list(&ListParams::default()).await.unwrap().items.is_empty());
    assert!(!server.log().contains(STANDS), "{}", server.log());
}

#[tokio::test]
async fn endpoints_written_by_hand_have_a_slice_that_goes_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let client = server.client().await;
    let create = async |plural: &str, object: serde_json::Value| {
        let path = format!("/api/v1/namespaces/default/{plural}");
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(&object).unwrap()).unwrap();
        client.request::<serde_json::Value>(request).await.unwrap();
    };
    create("services", json!({ "metadata": { "name": "db" }, "spec": { "ports": [{ "port": 5432 }] } })).await;
    let subsets = json!([{ "addresses": [{ "ip": "192.0.2.1" }], "ports": [{ "port": 5432 }] }]);
    create("endpoints", json!({ "metadata": { "name": "db" }, "subsets": subsets })).await;
    let slices = Api::<EndpointSlice>::default_namespaced(client.clone());
    let label = ListParams::default().labels("kubernetes.io/service-name=db");
    let count = async |wanted: usize| {
        let reached = async {
            loop {
                let found = slices.list(&label).await.unwrap().items;
                if found.len() == wanted {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("not {wanted} slices"))
    };
    let slice = count(1).await.remove(0);
    assert_eq!(slice.endpoints[0].addresses, ["192.0.2.1"]);
    let manager = &slice.metadata.labels.as_ref().unwrap()["endpointslice.kubernetes.io/managed-by"];
    assert_eq!(manager, "endpointslicemirroring-controller.k8s.io");
    let endpoints = Api::<k8s_openapi::api::core::v1::Endpoints>::default_namespaced(client.clone());
    endpoints.delete("db", &kube::api::DeleteParams::default()).await.unwrap();
    count(0).await;
}
