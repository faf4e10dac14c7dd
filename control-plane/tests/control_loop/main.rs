//! Controllers and scheduler against the real API server and store, in one process: every
//! scenario is what a user does and then sees.

mod bed;

use bed::Bed;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, Endpoints, Event, Namespace, Node, Pod, ResourceQuota, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy},
};
use serde_json::{Value, json};

fn web(replicas: i32, image: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                  "template": { "metadata": { "labels": { "app": "web" } },
                                "spec": { "containers": [{ "name": "c", "image": image }] } } }
    })
}

/// Waits until the deployment has rolled out, as `kubectl rollout status` does.
async fn rolled_out(bed: &Bed, replicas: i32) -> Deployment {
    bed.until("rolled out", || async {
        let deployment: Deployment = bed.here().get("web").await.unwrap();
        let status = deployment.status.clone().unwrap_or_default();
        let done = status.observed_generation >= deployment.metadata.generation
            && status.updated_replicas.unwrap_or_default() == replicas
            && status.replicas.unwrap_or_default() == replicas
            && status.available_replicas.unwrap_or_default() == replicas;
        done.then_some(deployment)
    })
    .await
}

async fn images(bed: &Bed) -> Vec<String> {
    let pods = bed.list::<Pod>().await;
    let running = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    running.map(|pod| pod.spec.unwrap().containers[0].image.clone().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_rolls_out_updates_scales_and_goes() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    bed.create::<Deployment>(web(3, "v1")).await;
    bed.create::<Service>(json!({ "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] } }))
        .await;
    let deployment = rolled_out(&bed, 3).await;
    assert_eq!(deployment.annotations()["deployment.kubernetes.io/revision"], "1");
    assert_eq!(images(&bed).await, ["v1"; 3]);
    bed.until("three endpoints", || async {
        let slices = bed.list::<EndpointSlice>().await;
        let ready = slices.iter().flat_map(|slice| &slice.endpoints);
        (slices.len() == 1 && ready.filter(|e| e.conditions.as_ref().unwrap().ready == Some(true)).count() == 3)
            .then_some(())
    })
    .await;
    bed.quiet().await;
    bed.until("three legacy endpoints", || async {
        let endpoints: Endpoints = bed.here().get_opt("web").await.unwrap()?;
        (endpoints.subsets?[0].addresses.as_ref()?.len() == 3).then_some(())
    })
    .await;

    bed.patch::<Deployment>(
        "web",
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "v2" }] } } } }),
    )
    .await;
    let deployment = rolled_out(&bed, 3).await;
    assert_eq!(deployment.annotations()["deployment.kubernetes.io/revision"], "2");
    bed.until("only new pods", || async { (images(&bed).await == ["v2"; 3]).then_some(()) }).await;
    assert_eq!(bed.list::<ReplicaSet>().await.len(), 2);

    bed.patch::<Deployment>("web", json!({ "spec": { "replicas": 1 } })).await;
    rolled_out(&bed, 1).await;
    bed.quiet().await;
    let reasons: Vec<_> = bed.list::<Event>().await.into_iter().filter_map(|event| event.reason).collect();
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"] {
        assert!(reasons.iter().any(|have| have == reason), "{reason} not in {reasons:?}");
    }

    bed.here::<Deployment>().delete("web", &DeleteParams::background()).await.unwrap();
    bed.here::<Service>().delete("web", &DeleteParams::background()).await.unwrap();
    bed.until("everything is collected", || async {
        let left = bed.list::<ReplicaSet>().await.len() + bed.list::<Pod>().await.len();
        let left = left + bed.list::<EndpointSlice>().await.len() + bed.list::<Endpoints>().await.len();
        (left == 0).then_some(())
    })
    .await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_that_crash_again_and_again_converge_to_exactly_what_was_asked() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    bed.create::<Deployment>(web(8, "v1")).await;
    for round in 0..12 {
        tokio::time::sleep(std::time::Duration::from_millis(30 + 17 * round)).await;
        bed.crash().await;
        if round == 6 {
            bed.patch::<Deployment>(
                "web",
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "v2" }] } } } }),
            )
            .await;
        }
        bed.resume();
    }
    rolled_out(&bed, 8).await;
    bed.until("only new pods", || async { (images(&bed).await == ["v2"; 8]).then_some(()) }).await;
    // One set per template, whatever was interrupted.
    assert!(bed.list::<ReplicaSet>().await.len() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_waits_for_a_node_and_says_why() {
    let mut bed = Bed::start().await;
    bed.create::<Pod>(json!({ "metadata": { "name": "p" }, "spec": { "containers": [
        { "name": "c", "image": "i", "resources": { "requests": { "cpu": "2" } } }] } }))
        .await;
    let message = |pod: &Pod| {
        let conditions = pod.status.clone().unwrap_or_default().conditions.unwrap_or_default();
        conditions
            .into_iter()
            .find(|condition| condition.type_ == "PodScheduled")
            .and_then(|condition| condition.message)
    };
    bed.until("a reason", || async {
        let pod: Pod = bed.here().get("p").await.unwrap();
        (message(&pod).as_deref() == Some("no nodes available to schedule pods")).then_some(())
    })
    .await;
    bed.until("an event", || async {
        bed.list::<Event>().await.into_iter().find(|event| event.reason.as_deref() == Some("FailedScheduling"))
    })
    .await;
    bed.add_node("n1").await;
    bed.until("running", || async {
        let pod: Pod = bed.here().get("p").await.unwrap();
        (pod.status?.phase.as_deref() == Some("Running")).then_some(())
    })
    .await;
    let node: Node = bed.all().get("n1").await.unwrap();
    assert_eq!(node.spec.unwrap().pod_cidr.as_deref(), Some("10.244.0.0/24"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_furnished_and_emptied() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    bed.create::<Namespace>(json!({ "metadata": { "name": "a" } })).await;
    let (accounts, maps): (Api<ServiceAccount>, Api<ConfigMap>) =
        (Api::namespaced(bed.client.clone(), "a"), Api::namespaced(bed.client.clone(), "a"));
    bed.until("an account", || async { accounts.get_opt("default").await.unwrap() }).await;
    let map = bed.until("the CA", || async { maps.get_opt("kube-root-ca.crt").await.unwrap() }).await;
    assert_eq!(map.data.unwrap()["ca.crt"], "PEM");
    // Deleted by mistake, they come back.
    maps.delete("kube-root-ca.crt", &DeleteParams::default()).await.unwrap();
    bed.until("the CA again", || async { maps.get_opt("kube-root-ca.crt").await.unwrap() }).await;
    let mut deployment = web(2, "v1");
    deployment["metadata"]["namespace"] = "a".into();
    bed.create::<Deployment>(deployment).await;
    let pods: Api<Pod> = Api::namespaced(bed.client.clone(), "a");
    bed.until("pods", || async { (pods.list(&ListParams::default()).await.unwrap().items.len() == 2).then_some(()) })
        .await;
    bed.all::<Namespace>().delete("a", &DeleteParams::default()).await.unwrap();
    bed.until("gone", || async { bed.all::<Namespace>().get_opt("a").await.unwrap().is_none().then_some(()) }).await;
    assert!(pods.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_stuck_says_what_holds_it() {
    let bed = Bed::start().await;
    bed.create::<Namespace>(json!({ "metadata": { "name": "a" } })).await;
    let held = json!({ "metadata": { "name": "held", "namespace": "a", "finalizers": ["example.com/hold"] } });
    bed.create::<ConfigMap>(held).await;
    bed.all::<Namespace>().delete("a", &DeleteParams::default()).await.unwrap();
    let expected = [
        ("NamespaceContentRemaining", "Some resources are remaining: configmaps. has 1 resource instances"),
        (
            "NamespaceFinalizersRemaining",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ),
    ];
    bed.until("conditions", || async {
        let namespace = bed.all::<Namespace>().get("a").await.unwrap();
        let conditions = namespace.status.unwrap().conditions?;
        let bad = conditions.into_iter().filter(|condition| condition.status == "True");
        let bad: Vec<_> = bad.map(|condition| (condition.type_, condition.message.unwrap_or_default())).collect();
        let expected = expected.map(|(type_, message)| (type_.to_owned(), message.to_owned()));
        (bad == expected).then_some(())
    })
    .await;
    bed.quiet().await;
    let maps: Api<ConfigMap> = Api::namespaced(bed.client.clone(), "a");
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    maps.patch("held", &PatchParams::default(), &free).await.unwrap();
    bed.until("gone", || async { bed.all::<Namespace>().get_opt("a").await.unwrap().is_none().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_go_first_stay_or_follow_as_asked() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    let with = |policy: PropagationPolicy| DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    bed.create::<Deployment>(web(2, "v1")).await;
    rolled_out(&bed, 2).await;
    // Orphaned, the set and its pods stay, without an owner above.
    bed.here::<Deployment>().delete("web", &with(PropagationPolicy::Orphan)).await.unwrap();
    bed.until("the deployment is gone", || async {
        bed.here::<Deployment>().get_opt("web").await.unwrap().is_none().then_some(())
    })
    .await;
    let sets = bed.list::<ReplicaSet>().await;
    assert_eq!((sets.len(), sets[0].metadata.owner_references.clone()), (1, None));
    assert_eq!(bed.list::<Pod>().await.len(), 2);
    // A deployment of the same template adopts it again.
    bed.create::<Deployment>(web(2, "v1")).await;
    rolled_out(&bed, 2).await;
    assert_eq!(bed.list::<ReplicaSet>().await.len(), 1);
    // In the foreground, it goes last.
    bed.here::<Deployment>().delete("web", &with(PropagationPolicy::Foreground)).await.unwrap();
    bed.until("the deployment is gone", || async {
        let gone = bed.here::<Deployment>().get_opt("web").await.unwrap().is_none();
        if gone {
            assert!(bed.list::<ReplicaSet>().await.is_empty(), "the owner went before its dependents");
        }
        gone.then_some(())
    })
    .await;
    bed.until("no pods", || async { bed.list::<Pod>().await.is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_lives_while_one_owner_does_and_circles_do_not_last() {
    let bed = Bed::start().await;
    let map =
        |name: &str, owners: Value| json!({ "metadata": { "name": name, "ownerReferences": owners }, "data": {} });
    let owner = |map: &ConfigMap| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": map.name_any(), "uid": map.uid(), "blockOwnerDeletion": true });
    let (a, b) =
        (bed.create::<ConfigMap>(map("a", Value::Null)).await, bed.create::<ConfigMap>(map("b", Value::Null)).await);
    bed.create::<ConfigMap>(map("shared", json!([owner(&a), owner(&b)]))).await;
    let stranger = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "not-this-one" }]);
    bed.create::<ConfigMap>(map("stranger", stranger)).await;
    let maps = bed.here::<ConfigMap>();
    bed.until("whose owner never was is gone", || async {
        maps.get_opt("stranger").await.unwrap().is_none().then_some(())
    })
    .await;
    maps.delete("a", &DeleteParams::background()).await.unwrap();
    bed.until("one owner is forgotten", || async {
        let shared = maps.get("shared").await.unwrap();
        (shared.metadata.owner_references?.len() == 1).then_some(())
    })
    .await;
    maps.delete("b", &DeleteParams::background()).await.unwrap();
    bed.until("without owners it goes", || async { maps.get_opt("shared").await.unwrap().is_none().then_some(()) })
        .await;

    let c = bed.create::<ConfigMap>(map("c", Value::Null)).await;
    let d = bed.create::<ConfigMap>(map("d", json!([owner(&c)]))).await;
    bed.patch::<ConfigMap>("c", json!({ "metadata": { "ownerReferences": [owner(&d)] } })).await;
    maps.delete("c", &DeleteParams::foreground()).await.unwrap();
    bed.until("the circle is gone", || async {
        let left = [maps.get_opt("c").await.unwrap(), maps.get_opt("d").await.unwrap()];
        left.iter().all(Option::is_none).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_owner_deleted_once_more_in_the_foreground_takes_its_dependents_along() {
    let bed = Bed::start().await;
    let held = json!({ "metadata": { "name": "held", "finalizers": ["example.com/hold"] } });
    let held = bed.create::<ConfigMap>(held).await;
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "held", "uid": held.uid(),
                        "blockOwnerDeletion": true });
    bed.create::<ConfigMap>(json!({ "metadata": { "name": "dependent", "ownerReferences": [owner] } })).await;
    let maps = bed.here::<ConfigMap>();
    maps.delete("held", &DeleteParams::background()).await.unwrap();
    bed.quiet().await;
    assert!(maps.get_opt("dependent").await.unwrap().is_some(), "its owner is still there");
    maps.delete("held", &DeleteParams::foreground()).await.unwrap();
    bed.until("the dependent is gone", || async { maps.get_opt("dependent").await.unwrap().is_none().then_some(()) })
        .await;
    bed.until("the owner waits for its own finalizer only", || async {
        (maps.get("held").await.unwrap().metadata.finalizers? == ["example.com/hold"]).then_some(())
    })
    .await;
    bed.patch::<ConfigMap>("held", json!({ "metadata": { "finalizers": null } })).await;
    bed.until("gone", || async { maps.get_opt("held").await.unwrap().is_none().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_follows_what_comes_and_goes() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    let hard = json!({ "pods": "2", "count/replicasets.apps": "5" });
    bed.create::<ResourceQuota>(json!({ "metadata": { "name": "q" }, "spec": { "hard": hard } })).await;
    let used = async |what: &str, pods: &str, sets: &str| {
        bed.until(what, || async {
            let status = bed.here::<ResourceQuota>().get("q").await.unwrap().status.unwrap_or_default();
            let used = serde_json::to_value(status.used).unwrap();
            (used == json!({ "pods": pods, "count/replicasets.apps": sets })).then_some(())
        })
        .await;
    };
    used("nothing is used", "0", "0").await;
    bed.create::<Deployment>(web(3, "v1")).await;
    used("two pods are all", "2", "1").await;
    bed.until("somebody is told", || async {
        let events = bed.list::<Event>().await;
        let why = "forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
        events.iter().any(|event| event.message.as_deref().is_some_and(|text| text.contains(why))).then_some(())
    })
    .await;
    // What goes, makes room.
    bed.patch::<Deployment>("web", json!({ "spec": { "replicas": 1 } })).await;
    used("one pod is left", "1", "1").await;
    bed.here::<Deployment>().delete("web", &DeleteParams::background()).await.unwrap();
    used("nothing is left", "0", "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_counts_the_pods_that_it_is_about() {
    let mut bed = Bed::start().await;
    bed.add_node("n1").await;
    bed.create::<PodDisruptionBudget>(json!({ "metadata": { "name": "b" }, "spec": {
        "maxUnavailable": "34%", "selector": { "matchLabels": { "app": "web" } },
    } }))
    .await;
    bed.create::<Deployment>(web(3, "v1")).await;
    rolled_out(&bed, 3).await;
    // Two: a third of three and a bit more, rounded up.
    bed.until("two may go", || async {
        let status = bed.here::<PodDisruptionBudget>().get("b").await.unwrap().status?;
        let counts = (status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed);
        (counts == (3, 1, 3, 2) && status.observed_generation == Some(1)).then_some(())
    })
    .await;
}
