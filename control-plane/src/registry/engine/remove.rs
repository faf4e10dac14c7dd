//! Objects on their way out: gone at once, or marked until their finalizers and their keeper let
//! them go.

use jiff::Timestamp;
use nodeplane_api::{meta, status::Status};
use serde_json::Value;

use super::{Engine, Failure, Part, TRIES, Work, landing::Landed, marking, marking::Propagation, pause};
use crate::{
    access::Permit,
    registry::objects::refusal,
    store::{StoreError, object::Object},
};

/// How something is to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Seconds that the object may take; never negative.
    pub grace: Option<i64>,
    /// What the client says about dependents.
    pub propagation: Option<Propagation>,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The revision that the object must have.
    pub revision: Option<String>,
    /// Do everything but delete.
    pub dry_run: bool,
}

/// What became of the object.
#[derive(Clone, Debug)]
pub enum Removed {
    /// It is gone; this is its last state.
    Gone(Value),
    /// It is marked, or was so before.
    Marked(Value),
}

impl Engine {
    /// Deletes an object of the permit's kind and namespace.
    ///
    /// # Errors
    /// 403 from admission, 404, 409 when a precondition does not hold.
    pub async fn remove(&self, permit: &Permit, name: &str, removal: &Removal) -> Result<Removed, Status> {
        let request = permit.request();
        let work = Work { permit: permit.clone(), name: name.to_owned(), part: Part::Mark, dry_run: removal.dry_run };
        for tries in 0..TRIES {
            let old = self.objects.newest(request.kind, request.namespace(), name).await?;
            check_preconditions(permit, &old, removal)?;
            let marked = marking::mark(self.registry.strategy(request.kind), old.value(), removal, Timestamp::now());
            match self.land(work.clone(), marked, Some(old)).await {
                Ok(Landed::Gone(object)) => return Ok(Removed::Gone(object)),
                Ok(Landed::Stored(object) | Landed::Unwritten(object)) => return Ok(Removed::Marked(object)),
                Err(Failure::Store(StoreError::Conflict { .. })) => pause(tries).await,
                Err(Failure::Store(error)) => return Err(refusal(request.kind, name, error)),
                Err(Failure::Refused(status)) => return Err(status),
            }
        }
        Err(Status::stale(request.kind, name))
    }
}

fn check_preconditions(permit: &Permit, old: &Object, removal: &Removal) -> Result<(), Status> {
    let (uid, revision) = (meta::uid(old.value()), old.revision().to_string());
    let why = match (&removal.uid, &removal.revision) {
        (Some(wanted), _) if wanted != uid => format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        ),
        (_, Some(wanted)) if *wanted != revision => format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({revision}). The object might have been modified"
        ),
        _ => return Ok(()),
    };
    let (kind, name) = (permit.request().kind, old.name());
    let mut status = Status::conflict(kind, name, &why);
    // Upstream names the kind here, not the resource.
    status.message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified_kind());
    status.details["kind"] = kind.kind.into();
    Err(status)
}
