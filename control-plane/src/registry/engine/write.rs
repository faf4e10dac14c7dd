//! Objects made and changed: read, edit, check, write against the revision that was read.

use jiff::Timestamp;
use nodeplane_api::{meta, status::Status};
use serde_json::Value;
use tracing::debug;
use uuid::Uuid;

use super::{Edit, Engine, Expects, Failure, NAMES, TRIES, Target, Work, Written, owning::Owning, pause};
use crate::{
    access::Permit,
    registry::{
        admission::{Operation, Review},
        metadata::own,
        objects::refusal,
    },
    store::{StoreError, object::Object},
};

impl Engine {
    /// Makes the object of a target what `edit` makes of its newest state (nothing, when it is not
    /// there). `edit` is called again with a newer state when the object changed meanwhile.
    ///
    /// # Errors
    /// 403 and 404 from admission, 404 and 409 when the target is not as expected or a
    /// precondition does not hold, 422, and what `edit` fails with.
    pub async fn write(
        &self,
        permit: &Permit,
        target: &Target<'_>,
        edit: impl Fn(Option<&Value>) -> Result<Edit, Status>,
    ) -> Result<Written, Status> {
        let kind = permit.request().kind;
        for tries in 0..TRIES {
            let old = self.find(permit, target).await?;
            let Edit { mut object, mut warnings } = edit(old.as_ref().map(Object::value))?;
            let is_named_here = old.is_none() && give_name(&mut object);
            let name = if old.is_none() { meta::name(&object) } else { target.name };
            let work =
                Work { permit: permit.clone(), name: name.to_owned(), part: target.part, dry_run: target.dry_run };
            let is_new = old.is_none();
            let owning = Owning::new(target.ownership, permit.request());
            let error = match self.attempt(&work, owning, object, old).await {
                Ok(object) => {
                    let strategy = self.registry.strategy(kind);
                    if is_new {
                        warnings.extend(strategy.create_warnings(&object));
                    }
                    warnings.extend(strategy.warnings(&object));
                    return Ok(Written { object, warnings, is_new });
                }
                Err(Failure::Refused(status)) => return Err(status),
                Err(Failure::Store(error)) => error,
            };
            match error {
                StoreError::Conflict { .. } => {}
                StoreError::Exists if target.expects == Expects::Any || (is_named_here && tries + 1 < NAMES) => {}
                StoreError::NotFound if target.expects == Expects::Any => {}
                StoreError::Exists if is_named_here => return Err(no_unique_name(refusal(kind, &work.name, error))),
                error => return Err(refusal(kind, &work.name, error)),
            }
            debug!(caller = permit.caller().name(), kind = kind.plural, name = work.name, tries, "changed meanwhile");
            pause(tries).await;
        }
        Err(Status::stale(kind, target.name))
    }

    /// Lets admission look at a document that is sent to a part of an object and never stored.
    ///
    /// # Errors
    /// The refusal.
    pub async fn review(&self, permit: &Permit, name: &str, mut document: Value) -> Result<Value, Status> {
        let review = Review { permit, operation: Operation::Create, name, old: None, dry_run: false };
        self.admission.admit(&review, &mut document).await?;
        self.admission.validate(&review, &document).await?;
        Ok(document)
    }

    async fn find(&self, permit: &Permit, target: &Target<'_>) -> Result<Option<Object>, Status> {
        let request = permit.request();
        match target.expects {
            Expects::Absent => Ok(None),
            Expects::Present => self.objects.newest(request.kind, request.namespace(), target.name).await.map(Some),
            Expects::Any => self.objects.find(request.kind, request.namespace(), target.name).await,
        }
    }

    async fn attempt(
        &self,
        work: &Work,
        owning: Owning<'_>,
        object: Value,
        old: Option<Object>,
    ) -> Result<Value, Failure> {
        let kind = work.permit.request().kind;
        let strategy = self.registry.strategy(kind);
        let before = old.as_ref().map(Object::value);
        let mut object = match &old {
            None => self.new_object(work, owning, object),
            Some(old) => {
                self.check_preconditions(work, &object, old).map_err(Failure::Refused)?;
                work.part.prepare(strategy, owning, object, old.value())
            }
        };
        let operation = if before.is_some() { Operation::Update } else { Operation::Create };
        let review = Review { permit: &work.permit, operation, name: &work.name, old: before, dry_run: work.dry_run };
        self.admission.admit(&review, &mut object).await.map_err(Failure::Refused)?;
        self.land(work.clone(), object, old).await.map(super::landing::Landed::into_object)
    }

    /// A draft with what every object gets from the server.
    fn new_object(&self, work: &Work, owning: Owning<'_>, mut object: Value) -> Value {
        let strategy = self.registry.strategy(work.permit.request().kind);
        strategy.default(&mut object);
        owning.settle(&mut object, None, None);
        let uid = Uuid::new_v4().to_string();
        own::stamp(&mut object, &uid, Timestamp::now(), strategy.counts_generations());
        strategy.prepare_for_create(&mut object);
        object
    }

    /// A revision or uid in the object must be the one that is stored.
    fn check_preconditions(&self, work: &Work, object: &Value, old: &Object) -> Result<(), Status> {
        let kind = work.permit.request().kind;
        own::check_uid(object, old.value(), kind, &self.objects.shown_key(old.key()))?;
        match meta::text(object, "resourceVersion") {
            "" | "0" => Ok(()),
            text => match own::parse_revision(text) {
                Ok(wanted) if wanted == old.revision() => Ok(()),
                Ok(_) => Err(Status::stale(kind, &work.name)),
                Err(why) => Err(Status::bad_request(why)),
            },
        }
    }
}

/// Names an object that asks for a generated name.
fn give_name(object: &mut Value) -> bool {
    let base = meta::text(object, "generateName");
    if base.is_empty() || !meta::name(object).is_empty() {
        return false;
    }
    let name = own::generate_name(base);
    meta::set(object, "name", name);
    true
}

fn no_unique_name(status: Status) -> Status {
    let message = status.message + ", the server was not able to generate a unique name for the object";
    Status { message, ..status }
}
