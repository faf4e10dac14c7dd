//! A new object.

use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{
    meta,
    status::{FieldErrors, Status},
};
use serde_json::Value;
use uuid::Uuid;

use super::{answer, ask::Ask, commit::knows_outcome, intake, metadata, options::WriteOptions};
use crate::{
    http::{objects::refusal, reply::Reply},
    registry::{admission, validate_meta},
    store::StoreError,
};

/// How many generated names are tried.
const NAMES: u32 = 8;

/// Answers with the object as it was stored.
///
/// # Errors
/// 400 and 422 for a bad object, 403 and 404 from admission, 409 for a name that is taken.
pub(super) async fn create(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let mut intake = intake::object(ask.call, ask.kind(), options.validation)?;
    metadata::enter_namespace(&mut intake.object, ask.request)?;
    check_revision(&intake.object)?;
    let created = named(ask, intake.object, options.dry_run).await?;
    let mut warnings = intake.warnings;
    warnings.extend(ask.strategy().warnings(&created));
    Ok(answer::object(ask, StatusCode::CREATED, &created)?.with_warnings(&warnings))
}

/// An object that names a revision was meant for an update.
fn check_revision(object: &Value) -> Result<(), Status> {
    match meta::text(object, "resourceVersion") {
        "" | "0" => Ok(()),
        _ => Err(Status::failure("resourceVersion should not be set on objects to be created")),
    }
}

/// Creates under the object's name, or under generated ones until one is free.
async fn named(ask: &Ask<'_>, draft: Value, dry_run: bool) -> Result<Value, Status> {
    let base = meta::text(&draft, "generateName");
    if !meta::name(&draft).is_empty() || base.is_empty() {
        return once(ask, draft, dry_run).await;
    }
    let mut tries = 1;
    loop {
        let mut object = draft.clone();
        meta::set(&mut object, "name", metadata::generate_name(base));
        match once(ask, object, dry_run).await {
            Err(status) if status.reason == "AlreadyExists" && tries < NAMES => tries += 1,
            Err(status) if status.reason == "AlreadyExists" => {
                let message = status.message + ", the server was not able to generate a unique name for the object";
                return Err(Status { message, ..status });
            }
            outcome => return outcome,
        }
    }
}

async fn once(ask: &Ask<'_>, mut object: Value, dry_run: bool) -> Result<Value, Status> {
    let (kind, strategy) = (ask.kind(), ask.strategy());
    let uid = Uuid::new_v4().to_string();
    strategy.default(&mut object);
    metadata::stamp(&mut object, &uid, Timestamp::now(), strategy.counts_generations());
    strategy.prepare_for_create(&mut object);
    admission::admit_create(kind, ask.namespace(), &mut object, &ask.api.objects).await?;
    strategy.allocate(&mut object, None, dry_run).await?;
    let outcome = match validate(ask, &object) {
        Ok(()) => store(ask, &object, dry_run).await,
        Err(status) => Err(Failure::Refused(status)),
    };
    match outcome {
        Ok(created) => Ok(created),
        Err(failure) => {
            if !dry_run && failure.is_certain() {
                strategy.release(&object, None).await;
            }
            Err(failure.status(ask, meta::name(&object)))
        }
    }
}

fn validate(ask: &Ask<'_>, object: &Value) -> Result<(), Status> {
    let (kind, strategy) = (ask.kind(), ask.strategy());
    let mut errors: FieldErrors = validate_meta(kind, strategy.name_rule(), object);
    errors.extend(strategy.validate(object));
    errors.extend(strategy.validate_create(object));
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(kind, meta::name(object), &errors)) }
}

async fn store(ask: &Ask<'_>, object: &Value, dry_run: bool) -> Result<Value, Failure> {
    let name = meta::name(object);
    if !dry_run {
        return ask.api.objects.create(&ask.key(name), object.clone()).await.map_err(Failure::Store);
    }
    match ask.api.objects.newest(ask.kind(), ask.namespace(), name).await {
        Ok(_) => Err(Failure::Store(StoreError::Exists)),
        Err(status) if status.code == 404 => Ok(object.clone()),
        Err(status) => Err(Failure::Refused(status)),
    }
}

/// Why there is no new object.
enum Failure {
    Refused(Status),
    Store(StoreError),
}

impl Failure {
    /// Whether it is known that nothing was stored.
    fn is_certain(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Store(error) => knows_outcome(error),
        }
    }

    fn status(self, ask: &Ask<'_>, name: &str) -> Status {
        match self {
            Self::Refused(status) => status,
            Self::Store(error) => refusal(ask.kind(), name, error),
        }
    }
}
