//! Writes under bad luck: what others do between two steps of ours.

mod bed;

use nodeplane_api::{
    kinds::{Subresource, Verb},
    meta,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::bed::{Bed, service};
use super::*;

fn node_port(name: &str) -> Value {
    service(
        name,
        &json!({ "type": "NodePort", "clusterIP": "10.96.0.10", "ports": [{ "port": 80, "nodePort": 30_100 }] }),
    )
}

#[tokio::test]
async fn nothing_stays_that_is_stored_after_its_namespace_has_gone() {
    let bed = Bed::start().await;
    bed.before("create", "services/shop/late", |store| async move {
        bed::delete(&*store, "namespaces/shop").await;
    });
    let refused = bed.create(node_port("late")).await.unwrap_err();
    let words =
        "services \"late\" is forbidden: unable to create new content in namespace shop because it is being terminated";
    assert_eq!((refused.code, refused.message.as_str()), (403, words));
    assert_eq!(refused.details["causes"][0]["reason"], "NamespaceTerminating");
    assert_eq!((bed.stored("services/shop/late").await, bed.claims().await), (None, Vec::new()));
}

#[tokio::test]
async fn nothing_stays_that_is_stored_after_its_namespace_was_marked() {
    let bed = Bed::start().await;
    bed.before("create", "services/shop/late", |store| async move {
        bed::edit(&*store, "namespaces/shop", |namespace| {
            meta::set(namespace, "deletionTimestamp", "2025-01-01T00:00:00Z");
        })
        .await;
    });
    assert_eq!(bed.create(node_port("late")).await.unwrap_err().code, 403);
    assert_eq!((bed.stored("services/shop/late").await, bed.claims().await), (None, Vec::new()));
}

#[tokio::test]
async fn what_others_have_changed_meanwhile_goes_with_its_namespace() {
    let bed = Bed::start().await;
    bed.before("create", "services/shop/late", |store| async move {
        bed::delete(&*store, "namespaces/shop").await;
    });
    bed.before("delete", "services/shop/late", |store| async move {
        bed::edit(&*store, "services/shop/late", |late| late["metadata"]["labels"] = json!({ "a": "b" })).await;
    });
    assert_eq!(bed.create(node_port("late")).await.unwrap_err().code, 403);
    assert_eq!((bed.stored("services/shop/late").await, bed.claims().await), (None, Vec::new()));
}

#[tokio::test]
async fn a_client_that_does_not_wait_leaves_nothing_behind_either() {
    let bed = Bed::start().await;
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    bed.before("create", "services/shop/late", |store| async move {
        bed::delete(&*store, "namespaces/shop").await;
        begun.send(()).unwrap();
        may_go_on.await.unwrap();
    });
    let (engine, permit) = (bed.engine.clone(), bed.permit(Verb::Create, "services", "shop/").await);
    let call = tokio::spawn(async move { bed::create(&engine, &permit, node_port("late")).await.map(drop) });
    has_begun.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    bed.until(async || bed.claims().await.is_empty()).await;
    assert_eq!(bed.stored("services/shop/late").await, None);
}

#[tokio::test]
async fn of_two_updates_that_want_the_same_port_the_loser_does_not_give_it_away() {
    let bed = Bed::start().await;
    let made = bed.create(service("web", &json!({ "type": "NodePort", "ports": [{ "port": 80 }] }))).await.unwrap();
    let mut asked = made.clone();
    asked["spec"]["ports"][0]["nodePort"] = 30_100.into();

    let (winner, wins) = (bed.engine.clone(), asked.clone());
    let permit = bed.permit(Verb::Update, "services", "shop/web").await;
    let winners = permit.clone();
    bed.before("update", "services/shop/web", move |_| async move {
        bed::replace(&winner, &winners, wins).await.unwrap();
    });
    let mut loses = asked.clone();
    loses["metadata"]["labels"] = json!({ "lost": "yes" });
    assert_eq!(bed::replace(&bed.engine, &permit, loses).await.unwrap_err().code, 409);

    let stored = bed.stored("services/shop/web").await.unwrap();
    assert_eq!(stored["spec"]["ports"][0]["nodePort"], 30_100);
    let held = format!("serviceips/{}", stored["spec"]["clusterIP"].as_str().unwrap());
    assert_eq!(bed.claims().await, [held, "servicenodeports/30100".to_owned()]);
}

#[tokio::test]
async fn a_port_that_was_dropped_and_is_wanted_again_is_not_given_away() {
    let bed = Bed::start().await;
    let made = bed.create(node_port("web")).await.unwrap();
    let permit = bed.permit(Verb::Update, "services", "shop/web").await;
    let mut without = made.clone();
    without["spec"]["type"] = "ClusterIP".into();
    without["spec"]["ports"][0].as_object_mut().unwrap().remove("nodePort");
    // The port is about to be given back when it is claimed again.
    let (engine, again, permits) = (bed.engine.clone(), made.clone(), permit.clone());
    bed.before("delete", "servicenodeports/30100", move |_| async move {
        let mut again = again;
        meta::remove(&mut again, "resourceVersion");
        bed::replace(&engine, &permits, again).await.unwrap();
    });
    bed::replace(&bed.engine, &permit, without).await.unwrap();
    let stored = bed.stored("services/shop/web").await.unwrap();
    assert_eq!(stored["spec"]["ports"][0]["nodePort"], 30_100);
    assert_eq!(bed.claims().await, ["serviceips/10.96.0.10", "servicenodeports/30100"]);
}

#[tokio::test]
async fn a_deletion_wins_in_the_end_however_often_others_change_the_object() {
    let bed = Bed::start().await;
    bed.create(node_port("web")).await.unwrap();
    for round in 0..10 {
        bed.before("delete", "services/shop/web", move |store| async move {
            bed::edit(&*store, "services/shop/web", |web| {
                web["metadata"]["labels"] = json!({ "n": round.to_string() });
            })
            .await;
        });
    }
    let permit = bed.permit(Verb::Delete, "services", "shop/web").await;
    let removed = bed.engine.remove(&permit, "web", &Removal::default()).await.unwrap();
    let Removed::Gone(last) = removed else { panic!("{removed:?}") };
    assert_eq!(last["metadata"]["labels"]["n"], "9");
    assert_eq!((bed.stored("services/shop/web").await, bed.claims().await), (None, Vec::new()));
}

#[tokio::test]
async fn an_invalid_service_with_a_taken_address_is_told_everything_and_takes_nothing() {
    let bed = Bed::start().await;
    bed.create(node_port("first")).await.unwrap();
    let before = bed.claims().await;
    let spec = json!({ "clusterIP": "10.96.0.10", "sessionAffinity": "Sometimes", "ports": [{ "port": 70_000 }] });
    let refused = bed.create(service("second", &spec)).await.unwrap_err();
    for words in [
        "spec.ports[0].port: Invalid value: 70000",
        "spec.sessionAffinity: Unsupported value",
        "spec.clusterIPs: \
                  Invalid value: []string{\"10.96.0.10\"}: failed to allocate IP 10.96.0.10: provided IP is already \
                  allocated",
    ] {
        assert!(refused.message.contains(words), "{words} in {}", refused.message);
    }
    assert_eq!(bed.claims().await, before);
}

#[tokio::test]
async fn what_is_not_there_is_made_and_what_is_there_is_changed() {
    let bed = Bed::start().await;
    let permit = bed.permit(Verb::Patch, "configmaps", "shop/m").await;
    let target = Target {
        name: "m",
        part: Part::Whole,
        expects: Expects::Any,
        ownership: Ownership::Manager("test"),
        dry_run: false,
    };
    let put = |value: &'static str| {
        move |old: Option<&Value>| {
            let fresh =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m", "namespace": "shop" } });
            let mut object = old.cloned().unwrap_or(fresh);
            object["data"][value] = "1".into();
            Ok(object.into())
        }
    };
    // Somebody makes it first.
    let (engine, permits) = (bed.engine.clone(), permit.clone());
    bed.before("create", "configmaps/shop/m", move |_| async move {
        let target = Target {
            name: "m",
            part: Part::Whole,
            expects: Expects::Any,
            ownership: Ownership::Manager("test"),
            dry_run: false,
        };
        assert!(engine.write(&permits, &target, put("first")).await.unwrap().is_new);
    });
    let written = bed.engine.write(&permit, &target, put("second")).await.unwrap();
    assert!(!written.is_new);
    assert_eq!(written.object["data"], json!({ "first": "1", "second": "1" }));
}

#[tokio::test]
async fn a_status_takes_what_its_row_names_and_nothing_else() {
    let bed = Bed::start().await;
    let made = bed.create(node_port("web")).await.unwrap();
    let permit = bed.permit_for(Verb::Update, "services", "shop/web", Some(Subresource::Status)).await;
    let part = permit.request().kind.part(Subresource::Status).unwrap();
    let target = Target {
        name: "web",
        part: Part::Fields(part),
        expects: Expects::Present,
        ownership: Ownership::Manager("test"),
        dry_run: false,
    };
    let edit = |old: Option<&Value>| {
        let mut object = old.cloned().unwrap();
        object["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } });
        object["spec"]["type"] = "ClusterIP".into();
        meta::remove(&mut object, "annotations");
        Ok(object.into())
    };
    let written = bed.engine.write(&permit, &target, edit).await.unwrap().object;
    assert_eq!(written["spec"], made["spec"]);
    assert_eq!(written["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");
}

#[tokio::test]
async fn what_a_crash_has_left_without_a_namespace_goes() {
    let bed = Bed::start().await;
    bed.create(node_port("stays")).await.unwrap();
    let held = bed.claims().await;
    let orphan =
        service("left", &json!({ "type": "ClusterIP", "clusterIP": "10.96.0.11", "clusterIPs": ["10.96.0.11"] }));
    bed.put("services/gone/left", &orphan).await;
    // The cache hears of it a moment later.
    bed.until(async || {
        bed.engine.repair().await.unwrap();
        bed.stored("services/gone/left").await.is_none()
    })
    .await;
    assert!(bed.stored("services/shop/stays").await.is_some());
    assert_eq!(bed.claims().await, held);
}
