use nodeplane_client::fake::Fake;

use super::*;
use crate::controllers::world::{World, object};

fn plan(world: &World, ca: &str) -> Vec<Write> {
    furnish("a", world.get(DEFAULT_SERVICE_ACCOUNT).as_ref(), world.get(ROOT_CA).as_ref(), ca)
}

#[test]
fn a_namespace_gets_its_account_and_the_ca_once() {
    for crash in 0..=2 {
        let mut world = World::default();
        let writes = plan(&world, "PEM");
        world.apply_all(&writes[..crash]);
        let rest = plan(&world, "PEM");
        world.apply_all(&rest);
        assert_eq!(world.get::<ServiceAccount>("default").unwrap().namespace().as_deref(), Some("a"));
        assert_eq!(world.get::<ConfigMap>(ROOT_CA).unwrap().data.unwrap()["ca.crt"], "PEM");
        assert!(plan(&world, "PEM").is_empty());
    }
}

#[test]
fn a_new_ca_replaces_the_old_one() {
    let mut world = World::default();
    world.apply_all(&plan(&World::default(), "OLD"));
    let writes = plan(&world, "NEW");
    world.apply_all(&writes);
    assert_eq!(world.get::<ConfigMap>(ROOT_CA).unwrap().data.unwrap()["ca.crt"], "NEW");
}

#[test]
fn finalizing_removes_only_our_own_finalizer() {
    let live = json!({ "metadata": { "name": "a" }, "spec": { "finalizers": ["kubernetes", "other"] } });
    let Write::Replace { part, object, key, .. } = finalize(live) else { panic!("not a replacement") };
    assert_eq!((part, key), (Some(Subresource::Finalize), Key::new("", "a")));
    assert_eq!(object["spec"]["finalizers"], json!(["other"]));
}

#[test]
fn everything_namespaced_is_content() {
    let kinds: Vec<_> = content_kinds().map(|kind| kind.plural).collect();
    assert!(kinds.contains(&"pods") && kinds.contains(&"events") && kinds.contains(&"deployments"));
    assert!(!kinds.contains(&"nodes") && !kinds.contains(&"namespaces"));
    let _: Namespace = object(json!({ "metadata": { "name": "a" } }));
}

fn kind(plural: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.plural == plural).unwrap()
}

/// `type=status reason: message` of all conditions.
fn conditions(namespace: &Value) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let conditions = namespace["status"]["conditions"].as_array().unwrap();
    let line = |condition| {
        let [type_, status, reason, message] =
            ["type", "status", "reason", "message"].map(|field| text(condition, field));
        format!("{type_}={status} {reason}: {message}")
    };
    conditions.iter().map(line).collect()
}

#[test]
fn a_stuck_namespace_tells_what_is_left_and_why() {
    let mut namespace = json!({ "metadata": { "name": "a" }, "status": { "phase": "Terminating" } });
    let mut content = Content::default();
    content.is_left(kind("secrets"), &[]);
    content.is_left(kind("pods"), &[json!({}), json!({ "metadata": { "finalizers": ["example.com/b"] } })]);
    let held = json!({ "metadata": { "finalizers": ["example.com/a", "example.com/b"] } });
    content.is_left(kind("deployments"), &[held]);
    content.fails("leases is not served".to_owned());
    content.fails("events is not served".to_owned());
    assert_eq!(content.len(), 3);
    assert!(content.tell(&mut namespace, "2024-01-01T00:00:00.5Z".parse().unwrap()));
    assert_eq!(
        conditions(&namespace),
        [
            "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
            "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: \
             All legacy kube types successfully parsed",
            "NamespaceDeletionContentFailure=True ContentDeletionFailed: Failed to delete all resource types, \
             2 remaining: events is not served, leases is not served",
            "NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: \
             deployments.apps has 1 resource instances, pods. has 2 resource instances",
            "NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has finalizers \
             remaining: example.com/a in 1 resource instances, example.com/b in 2 resource instances",
        ]
    );
    assert_eq!(namespace["status"]["phase"], "Terminating");
    // The same again is no news.
    let before = namespace.clone();
    assert!(!content.tell(&mut namespace, "2024-01-01T09:00:00Z".parse().unwrap()));
    assert_eq!(namespace, before);
}

#[test]
fn conditions_of_a_namespace_become_well_again() {
    let mut namespace = json!({ "metadata": { "name": "a" } });
    let mut content = Content::default();
    content.is_left(kind("pods"), &[json!({})]);
    content.tell(&mut namespace, "2024-01-01T00:00:00Z".parse().unwrap());
    assert!(Content::default().tell(&mut namespace, "2024-01-01T00:01:00Z".parse().unwrap()));
    let conditions = conditions(&namespace);
    assert!(conditions.iter().all(|condition| condition.contains("=False ")), "{conditions:?}");
    assert_eq!(
        conditions[2..],
        [
            "NamespaceDeletionContentFailure=False ContentDeleted: \
         All content successfully deleted, may be waiting on finalization",
            "NamespaceContentRemaining=False ContentRemoved: All content successfully removed",
            "NamespaceFinalizersRemaining=False ContentHasNoFinalizers: All content-preserving finalizers finished",
        ]
    );
    // Only what changed has a new time.
    let times: Vec<_> = namespace["status"]["conditions"].as_array().unwrap().iter().collect();
    let times: Vec<_> = times.iter().map(|condition| condition["lastTransitionTime"].as_str().unwrap()).collect();
    assert_eq!((times[2], times[3]), ("2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"));
}

#[tokio::test]
async fn a_kind_that_cannot_be_deleted_does_not_keep_the_others() {
    let fake = Fake::default();
    let terminating = json!({ "apiVersion": "v1", "kind": "Namespace", "spec": { "finalizers": ["kubernetes"] },
        "metadata": { "deletionTimestamp": "2024-01-01T00:00:00Z" }, "status": { "phase": "Terminating" } });
    fake.put("/api/v1/namespaces/a", terminating);
    let contents: Vec<_> = ["configmaps", "secrets"].map(|plural| format!("/api/v1/namespaces/a/{plural}")).into();
    for (path, kind) in contents.iter().zip(["ConfigMap", "Secret"]) {
        fake.put(&format!("{path}/x"), json!({ "apiVersion": "v1", "kind": kind }));
    }
    fake.refuse(500, "InternalError");
    let caches = Caches::start(&fake.client());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(Hands::new(fake.client()), caches, "PEM".to_owned(), shutdown.clone()));
    let finalized = async {
        while !fake.get("/api/v1/namespaces/a").is_some_and(|namespace| finalizers(&namespace).is_empty()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finalized).await.expect("never finalized");
    let writes: Vec<_> = fake.requests().into_iter().filter(|request| !request.starts_with("GET")).collect();
    let expected = [
        format!("DELETE {}", contents[0]),
        format!("DELETE {}", contents[1]),
        "PUT /api/v1/namespaces/a/status".to_owned(),
        format!("DELETE {}", contents[0]),
        "PUT /api/v1/namespaces/a/status".to_owned(),
        "PUT /api/v1/namespaces/a/finalize".to_owned(),
    ];
    assert_eq!(writes, expected);
    shutdown.cancel();
    running.await.unwrap();
}
