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
