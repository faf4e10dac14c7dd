//! An API server in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodStatus, Secret, Service};
use tokio::sync::watch;

use super::{ApiError, PodApi, Reference, Token, TokenWish};
use crate::pods::runtime::PodId;

/// Clones share one server.
#[derive(Clone)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// Revisions of objects that others write are lower.
pub(crate) const FIRST_REVISION: u64 = 1_000_000;

#[derive(Default)]
pub(crate) struct State {
    /// Statuses by pod name, in the order of their writes.
    pub(crate) statuses: Vec<(String, PodStatus)>,
    pub(crate) deleted: Vec<String>,
    pub(crate) config_maps: HashMap<String, ConfigMap>,
    pub(crate) secrets: HashMap<String, Secret>,
    pub(crate) services: Vec<Arc<Service>>,
    /// `Reason: message`.
    pub(crate) events: Vec<String>,
    /// Whoever tells an event that begins so panics.
    pub(crate) panics_at: Option<String>,
    /// So many writes fail.
    pub(crate) refusals: u32,
    pub(crate) gone: bool,
    /// Nobody gets a token, for this reason.
    pub(crate) no_tokens: Option<String>,
    pub(crate) tokens: u32,
    /// Until when tokens hold.
    pub(crate) expires: Option<Timestamp>,
    revision: u64,
}

impl Default for FakeApi {
    fn default() -> Self {
        let state = State { revision: FIRST_REVISION, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }
}

impl FakeApi {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a ConfigMap with one key.
    pub(crate) fn put_config(&self, name: &str, key: &str, value: &str) {
        let mut state = self.state();
        state.revision += 1;
        let mut object = ConfigMap { data: Some([(key.to_owned(), value.to_owned())].into()), ..ConfigMap::default() };
        object.metadata.resource_version = Some(state.revision.to_string());
        state.config_maps.insert(name.to_owned(), object);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The newest status of a pod.
    pub(crate) fn status(&self, pod: &str) -> Option<PodStatus> {
        self.state().statuses.iter().rev().find(|(name, _)| name == pod).map(|(_, status)| status.clone())
    }

    fn write(&self) -> Result<(), ApiError> {
        let mut state = self.state();
        if state.gone {
            return Err(ApiError::Gone);
        }
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(ApiError::Failed("etcdserver: request timed out".to_owned()));
        }
        state.revision += 1;
        Ok(())
    }
}

#[async_trait]
impl PodApi for FakeApi {
    async fn write_status(&self, pod: &PodId, status: &PodStatus) -> Result<u64, ApiError> {
        self.write()?;
        let mut state = self.state();
        state.statuses.push((pod.name.clone(), status.clone()));
        Ok(state.revision)
    }

    async fn delete(&self, pod: &PodId) -> Result<(), ApiError> {
        self.write()?;
        self.state().deleted.push(pod.name.clone());
        Ok(())
    }

    async fn config_map(&self, _: &str, name: &str) -> Result<Option<ConfigMap>, ApiError> {
        Ok(self.state().config_maps.get(name).cloned())
    }

    async fn secret(&self, _: &str, name: &str) -> Result<Option<Secret>, ApiError> {
        Ok(self.state().secrets.get(name).cloned())
    }

    fn versions(&self, _: &str, reference: &Reference) -> BoxStream<'static, Option<String>> {
        let (fake, reference) = (self.clone(), reference.clone());
        let look = move |mut changes: watch::Receiver<u64>| {
            let (fake, reference) = (fake.clone(), reference.clone());
            async move {
                changes.changed().await.ok()?;
                let state = fake.state();
                let version = match &reference {
                    Reference::ConfigMap(name) => state.config_maps.get(name).map(|object| &object.metadata),
                    Reference::Secret(name) => state.secrets.get(name).map(|object| &object.metadata),
                };
                let version = version.and_then(|meta| meta.resource_version.clone());
                drop(state);
                Some((version, changes))
            }
        };
        let mut changes = self.changed.subscribe();
        changes.mark_changed();
        stream::unfold(changes, look).boxed()
    }

    async fn token(&self, _: &PodId, wish: &TokenWish) -> Result<Token, ApiError> {
        if let Some(why) = self.state().no_tokens.clone() {
            return Err(ApiError::Failed(why));
        }
        self.write()?;
        let mut state = self.state();
        state.tokens += 1;
        Ok(Token { text: format!("token {} of {}", state.tokens, wish.account), expires: state.expires })
    }

    fn services(&self) -> Vec<Arc<Service>> {
        self.state().services.clone()
    }

    fn event(&self, _: &Pod, _: &str, _: bool, reason: &str, message: &str) {
        let event = format!("{reason}: {message}");
        self.state().events.push(event.clone());
        let panics = self.state().panics_at.as_ref().is_some_and(|start| event.starts_with(start));
        assert!(!panics, "planned");
    }
}
