//! A call on objects with all that answers it.

use nodeplane_api::{kinds::Kind, status::Status};

use crate::{
    http::{Api, authz::Permit, call::Call, negotiate::Form, objects::refusal, route::Request},
    registry::Strategy,
    store::StoreError,
};

/// What a verb works with. Only who has a [`Permit`] can make one.
pub(super) struct Ask<'a> {
    pub(super) api: &'a Api,
    pub(super) permit: &'a Permit,
    pub(super) request: &'a Request,
    pub(super) call: &'a Call,
    /// How the client wants to read the answer.
    pub(super) form: Form,
}

impl<'a> Ask<'a> {
    pub(super) fn kind(&self) -> &'static Kind {
        self.request.kind
    }

    pub(super) fn strategy(&self) -> &'a dyn Strategy {
        self.api.registry.strategy(self.request.kind)
    }

    /// The name in the path; empty for a collection.
    pub(super) fn name(&self) -> &'a str {
        self.request.name()
    }

    /// The namespace in the path; empty for cluster-scoped kinds and for all namespaces.
    pub(super) fn namespace(&self) -> &'a str {
        self.request.namespace()
    }

    /// The key of an object of the path's kind and namespace.
    pub(super) fn key(&self, name: &str) -> String {
        self.api.objects.key(self.kind(), self.namespace(), name)
    }

    /// The store's decision in the words of the API.
    pub(super) fn refused(&self, error: StoreError) -> Status {
        refusal(self.kind(), self.name(), error)
    }
}
