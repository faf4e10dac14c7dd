//! What a program with kube-rs does, on a real cluster. Runs as `it probe kube-rs NAMESPACE`, in the
//! network of the cluster's host, with the cluster's `KUBECONFIG`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod},
};
use kube::{
    Api, Client, Discovery, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    discovery::ApiGroup,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde_json::json;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does it all; the first thing that is not as promised ends it.
pub(crate) fn run(namespace: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::try_default().await?;
        tokio::time::timeout(PATIENCE * 3, all(&client, namespace)).await.context("it takes too long")?
    })
}

async fn all(client: &Client, namespace: &str) -> Result<()> {
    discovered(client).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    written(&maps).await?;
    watched(&maps).await?;
    applied(&maps).await?;
    scaled(client, namespace).await?;
    refused(client, namespace).await
}

async fn discovered(client: &Client) -> Result<()> {
    let version = client.apiserver_version().await?;
    ensure!(version.major == "1", "{version:?}");
    let discovery = Discovery::new(client.clone()).run().await?;
    let kinds: Vec<_> = discovery.groups().flat_map(ApiGroup::recommended_resources).collect();
    for wanted in ["Pod", "Deployment", "EndpointSlice", "Lease"] {
        ensure!(kinds.iter().any(|(resource, _)| resource.kind == wanted), "{wanted} is not discovered");
    }
    Ok(())
}

fn map(name: &str) -> ConfigMap {
    let mut map = ConfigMap { data: Some(BTreeMap::from([("k".into(), "v".into())])), ..ConfigMap::default() };
    map.metadata.name = Some(name.to_owned());
    map.labels_mut().insert("app".into(), "kube-rs".into());
    map
}

async fn written(maps: &Api<ConfigMap>) -> Result<()> {
    let created = maps.create(&PostParams::default(), &map("a")).await?;
    ensure!(created.uid().is_some() && created.resource_version().is_some(), "{created:?}");
    let again = maps.create(&PostParams::default(), &map("a")).await;
    ensure!(matches!(&again, Err(kube::Error::Api(status)) if status.is_already_exists()), "{again:?}");
    let patch = json!({ "data": { "k": null, "l": "w" } });
    let patched = maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    ensure!(patched.data == Some(BTreeMap::from([("l".into(), "w".into())])), "{patched:?}");
    let stale = maps.replace("a", &PostParams::default(), &created).await;
    ensure!(matches!(&stale, Err(kube::Error::Api(status)) if status.is_conflict()), "{stale:?}");
    for name in ["b", "c", "d"] {
        maps.create(&PostParams::default(), &map(name)).await?;
    }
    let (mut params, mut names) = (ListParams::default().labels("app=kube-rs").limit(3), Vec::new());
    loop {
        let page = maps.list(&params).await?;
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    ensure!(names == ["a", "b", "c", "d"], "{names:?}");
    Ok(())
}

/// Both ways in which informers begin: by a list, and by a watch that sends it.
async fn watched(maps: &Api<ConfigMap>) -> Result<()> {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let events = watcher::watcher(maps.clone(), config.labels("app=kube-rs")).default_backoff();
        let mut events = events.boxed();
        let mut known = Vec::new();
        loop {
            match next(&mut events).await? {
                Event::InitApply(map) => known.push(map.name_any()),
                Event::InitDone => break,
                Event::Init | Event::Apply(_) | Event::Delete(_) => {}
            }
        }
        known.sort();
        ensure!(known == ["a", "b", "c", "d"], "{known:?}");
        maps.create(&PostParams::default(), &map("e")).await?;
        let made = next(&mut events).await?;
        ensure!(matches!(&made, Event::Apply(map) if map.name_any() == "e"), "{made:?}");
        maps.delete("e", &DeleteParams::default()).await?;
        let gone = next(&mut events).await?;
        ensure!(matches!(&gone, Event::Delete(map) if map.name_any() == "e"), "{gone:?}");
    }
    Ok(())
}

async fn next(
    events: &mut (impl futures::Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin),
) -> Result<Event<ConfigMap>> {
    let event = tokio::time::timeout(PATIENCE, events.try_next()).await.context("no event")?;
    event?.context("the watch ended")
}

async fn applied(maps: &Api<ConfigMap>) -> Result<()> {
    let body = |value: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "applied" }, "data": { "k": value } });
    let one = maps.patch("applied", &PatchParams::apply("one"), &Patch::Apply(body("v"))).await?;
    let again = maps.patch("applied", &PatchParams::apply("one"), &Patch::Apply(body("v"))).await?;
    ensure!(one.resource_version() == again.resource_version(), "applied twice, changed twice");
    let conflict = maps.patch("applied", &PatchParams::apply("two"), &Patch::Apply(body("w"))).await;
    ensure!(matches!(&conflict, Err(kube::Error::Api(status)) if status.is_conflict()), "{conflict:?}");
    let forced = maps.patch("applied", &PatchParams::apply("two").force(), &Patch::Apply(body("w"))).await?;
    let owners: Vec<_> = forced.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    ensure!(owners.contains(&"two"), "{owners:?}");
    Ok(())
}

async fn scaled(client: &Client, namespace: &str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let template = json!({
        "metadata": { "labels": { "app": "kube-rs" } },
        "spec": { "containers": [{ "name": "c", "image": "none:1" }] },
    });
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "kube-rs" },
        "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "kube-rs" } }, "template": template },
    }))?;
    deployments.create(&PostParams::default(), &deployment).await?;
    let to_zero = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    let scale = deployments.patch_scale("kube-rs", &PatchParams::default(), &to_zero).await?;
    ensure!(scale.spec.is_some_and(|spec| spec.replicas.unwrap_or_default() == 0));
    deployments.delete("kube-rs", &DeleteParams::foreground()).await?;
    Ok(())
}

async fn refused(client: &Client, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    ensure!(pods.get_opt("nobody").await?.is_none());
    let empty: Pod = serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": { "containers": [] } }))?;
    let error = pods.create(&PostParams::default(), &empty).await;
    ensure!(
        matches!(&error, Err(kube::Error::Api(status)) if status.message.contains("spec.containers: Required value")),
        "{error:?}"
    );
    Ok(())
}
