//! `bindings`: a pod gets its node, by a path of old.

use nodeplane_api::{
    kinds::{Subresource, Verb},
    meta,
    status::{FieldErrors, Status},
};

use crate::{
    access::{Limits, Request},
    http::{
        reply::Reply,
        verbs::{ask::Ask, binding, intake},
    },
    registry::objects::known,
};

/// Binds the pod that has the name of the body. The caller must be allowed to do the same at the
/// pod's own path.
///
/// # Errors
/// Those of `pods/NAME/binding`; 422 without a name.
pub(super) async fn bind(ask: &Ask<'_>) -> Result<Reply, Status> {
    let body = intake::document(ask.call, ("v1", "Binding"))?.value;
    let name = meta::name(&body);
    if name.is_empty() {
        let mut errors = FieldErrors::default();
        errors.required("metadata.name", "name or generateName is required");
        return Err(Status::invalid(ask.kind(), name, &errors));
    }
    let request = Request {
        verb: Verb::Create,
        kind: known("", "v1", "pods")?,
        namespace: Some(ask.namespace().to_owned()),
        name: Some(name.to_owned()),
        subresource: Some(Subresource::Binding),
        limits: Limits::default(),
    };
    let permit = ask.api.authority.permit(ask.permit.caller().clone(), request).await?;
    binding::bind(&Ask::new(ask.api, &permit, ask.call)?).await
}
