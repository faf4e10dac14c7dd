//! [`PodApi`] by HTTP.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
        core::v1::{ConfigMap, ObjectReference, Pod, PodStatus, Secret, Service, ServiceAccount},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    runtime::{WatchStreamExt, watcher},
};
use nodeplane_client::{
    informer::Informer,
    recorder::{Recorder, Severity},
};
use serde::de::DeserializeOwned;
use tracing::debug;

use super::{ApiError, PodApi, Reference, Token, TokenWish};
use crate::pods::{pod::PodExt, runtime::PodId, status};

/// The API server through a client.
pub struct KubernetesApi {
    client: Client,
    services: Arc<Informer<Service>>,
    recorder: Recorder,
}

impl KubernetesApi {
    /// Services are read from an informer, for they are asked for at every start of a container.
    pub fn new(client: Client, services: Arc<Informer<Service>>, recorder: Recorder) -> Self {
        Self { client, services, recorder }
    }

    fn pods(&self, pod: &PodId) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.namespace)
    }

    fn follow<K>(&self, namespace: &str, name: &str) -> BoxStream<'static, Option<String>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(api, config).default_backoff();
        let versions = events.scan(false, |found, event| {
            let versions = match event {
                Ok(watcher::Event::Init) => {
                    *found = false;
                    None
                }
                Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                    *found = true;
                    Some(object.resource_version())
                }
                Ok(watcher::Event::InitDone) => (!*found).then_some(None),
                Ok(watcher::Event::Delete(_)) => Some(None),
                Err(error) => {
                    debug!(%error, "watch of a pod's configuration interrupted; trying again");
                    None
                }
            };
            std::future::ready(Some(stream::iter(versions)))
        });
        versions.flatten().boxed()
    }
}

#[async_trait]
impl PodApi for KubernetesApi {
    async fn write_status(&self, pod: &PodId, status: &PodStatus) -> Result<u64, ApiError> {
        let patch = Patch::Strategic(status::patch(&pod.uid, status));
        let written = self.pods(pod).patch_status(&pod.name, &PatchParams::default(), &patch).await;
        let revision = written.map_err(failure)?.resource_version();
        Ok(revision.and_then(|revision| revision.parse().ok()).unwrap_or_default())
    }

    async fn delete(&self, pod: &PodId) -> Result<(), ApiError> {
        let options = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        self.pods(pod).delete(&pod.name, &options).await.map(drop).map_err(failure)
    }

    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, ApiError> {
        Api::namespaced(self.client.clone(), namespace).get_opt(name).await.map_err(failure)
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, ApiError> {
        Api::namespaced(self.client.clone(), namespace).get_opt(name).await.map_err(failure)
    }

    fn versions(&self, namespace: &str, reference: &Reference) -> BoxStream<'static, Option<String>> {
        match reference {
            Reference::ConfigMap(name) => self.follow::<ConfigMap>(namespace, name),
            Reference::Secret(name) => self.follow::<Secret>(namespace, name),
        }
    }

    async fn token(&self, pod: &PodId, wish: &TokenWish) -> Result<Token, ApiError> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: if wish.audience.is_empty() { Vec::new() } else { vec![wish.audience.clone()] },
                expiration_seconds: Some(wish.seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name.clone()),
                    uid: Some(pod.uid.clone()),
                }),
            },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &pod.namespace);
        let answer: TokenRequest = accounts
            .create_subresource("token", &wish.account, &PostParams::default(), &request)
            .await
            .map_err(refusal)?;
        let granted = answer.status.ok_or_else(|| ApiError::Failed("the API server granted nothing".to_owned()))?;
        Ok(Token { text: granted.token, expires: Some(granted.expiration_timestamp.0) })
    }

    fn services(&self) -> Vec<Arc<Service>> {
        self.services.list()
    }

    fn event(&self, pod: &Pod, container: &str, warning: bool, reason: &str, message: &str) {
        let severity = if warning { Severity::Warning } else { Severity::Normal };
        let mut object: ObjectReference = pod.object_ref(&());
        if !container.is_empty() {
            let init = pod.inits().iter().any(|init| init.name == container);
            let list = if init { "initContainers" } else { "containers" };
            object.field_path = Some(format!("spec.{list}{{{container}}}"));
        }
        self.recorder.event(object, severity, reason, message);
    }
}

fn failure(error: kube::Error) -> ApiError {
    match error {
        kube::Error::Api(status) if status.code == 404 => ApiError::Gone,
        // A write under a uid that is not the object's.
        kube::Error::Api(status) if status.code == 409 && status.message.contains("recondition") => ApiError::Gone,
        error => ApiError::Failed(error.to_string()),
    }
}

/// The server's own words. What is missing is not the pod, but a service account.
fn refusal(error: kube::Error) -> ApiError {
    ApiError::Failed(match error {
        kube::Error::Api(status) => status.message,
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
