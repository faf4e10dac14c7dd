//! The informers that DNS reads.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::{informer::Informer, services::Services};

/// The informers that DNS reads. They may be shared with other readers.
#[derive(Clone)]
pub struct Sources {
    /// All Services with their EndpointSlices.
    pub services: Services,
    /// All Namespaces.
    pub namespaces: Arc<Informer<Namespace>>,
}

impl Sources {
    /// Watches everything by itself.
    pub fn watch(client: &Client) -> Self {
        Self::shared(client, Services::watch(client))
    }

    /// Reads Services that are watched already, and watches namespaces by itself.
    pub fn shared(client: &Client, services: Services) -> Self {
        let namespaces = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_namespace);
        Self { services, namespaces: Arc::new(namespaces) }
    }

    pub(super) fn are_ready(&self) -> bool {
        self.services.are_ready() && self.namespaces.is_ready()
    }

    /// Returns when everything is complete.
    pub(super) async fn ready(&self) {
        tokio::join!(self.services.ready(), self.namespaces.ready());
    }

    /// Returns when one of them follows the API server no more.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.services.ended() => {}
            () = self.namespaces.ended() => {}
        }
    }
}

fn trim_namespace(namespace: &mut Namespace) {
    namespace.metadata.managed_fields = None;
    namespace.metadata.annotations = None;
    namespace.metadata.labels = None;
    namespace.spec = None;
    namespace.status = None;
}
