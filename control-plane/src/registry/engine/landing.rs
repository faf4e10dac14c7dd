//! The last steps of every write: addresses and ports, validation, the store, and back with what
//! is not needed after all.
//!
//! In: an object that admission has let pass, and the state that it replaces. Out: the object as
//! stored, or why nothing was stored. Once begun, it goes on to its end also when the caller has
//! gone: neither a reservation nor an object in a namespace that is gone may be left behind.

use nodeplane_api::{
    kinds::{self, Kind},
    meta,
    status::{FieldErrors, Status},
};
use serde_json::Value;
use tracing::error;

use super::{Engine, Failure, Work};
use crate::{
    registry::{
        NotAllocated, Strategy,
        admission::{Operation, Review, is_terminating, refuse_terminating},
        metadata::own,
        reservation::Attempt,
    },
    store::{StoreError, object::Object},
};

/// How often what came into a dying namespace is removed while others change it.
const UNDO_TRIES: u32 = 16;

/// What became of an object.
#[derive(Debug)]
pub(super) enum Landed {
    /// It is stored.
    Stored(Value),
    /// Nothing was written: a dry run, or nothing changed.
    Unwritten(Value),
    /// It is gone; this is its last state.
    Gone(Value),
}

impl Landed {
    pub(super) fn into_object(self) -> Value {
        match self {
            Self::Stored(object) | Self::Unwritten(object) | Self::Gone(object) => object,
        }
    }
}

impl Engine {
    /// Brings an object into the store, in a task of its own.
    pub(super) async fn land(&self, work: Work, object: Value, old: Option<Object>) -> Result<Landed, Failure> {
        let engine = self.clone();
        let task = tokio::spawn(async move { engine.land_here(&work, object, old.as_ref()).await });
        task.await.unwrap_or_else(|error| Err(Failure::Refused(Status::internal(error))))
    }

    async fn land_here(&self, work: &Work, mut object: Value, old: Option<&Object>) -> Result<Landed, Failure> {
        let strategy = self.strategy_of(work);
        let before = old.map(Object::value);
        let attempt = Attempt::new(work.dry_run);
        if work.part.allocates() {
            self.allocate(work, &mut object, before, &attempt).await?;
        }
        let outcome = match self.validate(work, &object, before).await {
            Ok(()) => self.store(work, &object, old).await,
            Err(status) => Err(Failure::Refused(status)),
        };
        match &outcome {
            Ok(Landed::Stored(stored)) if work.part.allocates() => {
                if let (Some(before), Some(revision)) = (before, meta::resource_version(stored)) {
                    strategy.release(before, Some(stored), revision).await;
                }
            }
            // Nobody else can have anything in the name of what is gone.
            Ok(Landed::Gone(_)) => {
                if let (Some(before), false) = (before, work.dry_run) {
                    strategy.release(before, None, u64::MAX).await;
                }
            }
            Err(failure) if work.part.allocates() && failure.is_certain() => {
                strategy.give_up(&object, before, &attempt).await;
            }
            _ => {}
        }
        outcome
    }

    fn strategy_of(&self, work: &Work) -> &dyn Strategy {
        self.registry.strategy(work.permit.request().kind)
    }

    /// Reserves what the object needs, unless the object cannot be stored anyhow: then nothing is
    /// reserved, and all is told that is wrong.
    async fn allocate(
        &self,
        work: &Work,
        object: &mut Value,
        before: Option<&Value>,
        attempt: &Attempt,
    ) -> Result<(), Failure> {
        let strategy = self.strategy_of(work);
        let mut errors = match strategy.with_placeholders(object) {
            Some(draft) => work.part.errors(self.kind_of(work), strategy, &draft, before),
            None => FieldErrors::default(),
        };
        let is_wrong = !errors.is_empty();
        let outcome = match is_wrong {
            true => strategy.allocate(&mut object.clone(), before, &Attempt::new(true)).await,
            false => strategy.allocate(object, before, attempt).await,
        };
        match outcome {
            Ok(()) if !is_wrong => Ok(()),
            Ok(()) => Err(self.invalid(work, object, &errors)),
            Err(NotAllocated::Invalid(more)) => {
                errors.extend(more);
                Err(self.invalid(work, object, &errors))
            }
            Err(NotAllocated::Failed(_)) if is_wrong => Err(self.invalid(work, object, &errors)),
            Err(NotAllocated::Failed(status)) => Err(Failure::Refused(status)),
        }
    }

    fn kind_of(&self, work: &Work) -> &'static Kind {
        work.permit.request().kind
    }

    fn invalid(&self, work: &Work, object: &Value, errors: &FieldErrors) -> Failure {
        Failure::Refused(Status::invalid(self.kind_of(work), meta::name(object), errors))
    }

    async fn validate(&self, work: &Work, object: &Value, before: Option<&Value>) -> Result<(), Status> {
        let kind = self.kind_of(work);
        let errors = work.part.errors(kind, self.strategy_of(work), object, before);
        if !errors.is_empty() {
            return Err(Status::invalid(kind, meta::name(object), &errors));
        }
        let operation = match (before, work.part) {
            (None, _) => Operation::Create,
            (Some(_), super::Part::Mark) => Operation::Delete,
            (Some(_), _) => Operation::Update,
        };
        let review = Review { permit: &work.permit, operation, name: &work.name, old: before, dry_run: work.dry_run };
        self.admission.validate(&review, object).await
    }

    async fn store(&self, work: &Work, object: &Value, old: Option<&Object>) -> Result<Landed, Failure> {
        let Some(old) = old else { return self.store_new(work, object).await };
        if self.may_go(work, object) {
            return self.remove_stored(work, object, old).await;
        }
        // What changes nothing is not written: revisions stand for changes.
        if own::is_same_but_times(object, old.value()) {
            return Ok(Landed::Unwritten(old.value().clone()));
        }
        if work.dry_run {
            return Ok(Landed::Unwritten(object.clone()));
        }
        let life = self.registry.life(self.kind_of(work));
        let updated = self.objects.update(old.key(), object.clone(), old.revision(), life).await;
        updated.map(Landed::Stored).map_err(Failure::Store)
    }

    /// Whether nothing holds an object on its way out any more.
    fn may_go(&self, work: &Work, object: &Value) -> bool {
        !meta::text(object, "deletionTimestamp").is_empty()
            && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
            && self.strategy_of(work).is_deletion_complete(object)
    }

    async fn remove_stored(&self, work: &Work, object: &Value, old: &Object) -> Result<Landed, Failure> {
        if !work.dry_run {
            match self.objects.delete(old.key(), old.revision()).await {
                Ok(_) => {}
                // Somebody else was faster, with the same outcome; who asks for a deletion is told.
                Err(StoreError::NotFound) if work.part != super::Part::Mark => {}
                Err(error) => return Err(Failure::Store(error)),
            }
        }
        Ok(Landed::Gone(object.clone()))
    }

    async fn store_new(&self, work: &Work, object: &Value) -> Result<Landed, Failure> {
        let request = work.permit.request();
        let (kind, namespace) = (request.kind, request.namespace());
        if work.dry_run {
            return match self.objects.find(kind, namespace, &work.name).await.map_err(Failure::Refused)? {
                Some(_) => Err(Failure::Store(StoreError::Exists)),
                None => Ok(Landed::Unwritten(object.clone())),
            };
        }
        let key = self.objects.key(kind, namespace, &work.name);
        let created =
            self.objects.create(&key, object.clone(), self.registry.life(kind)).await.map_err(Failure::Store)?;
        if kind.is_namespaced() && !self.is_alive(namespace, meta::resource_version(&created)).await? {
            self.undo(work, &created).await?;
            return Err(Failure::Refused(refuse_terminating(kind, namespace, object)));
        }
        Ok(Landed::Stored(created))
    }

    /// Whether a namespace takes new objects, as of the revision of one. Asked after the object is
    /// stored: whoever empties the namespace has either begun before, and is seen here, or begins
    /// now, and sees the object.
    async fn is_alive(&self, namespace: &str, revision: Option<u64>) -> Result<bool, Failure> {
        let namespaces = kinds::by_plural("", "v1", "namespaces");
        let namespaces = namespaces.ok_or_else(|| Failure::Refused(Status::internal("namespaces are not served")))?;
        let since = revision.unwrap_or(u64::MAX);
        let found = self.objects.find_since(namespaces, "", namespace, since).await.map_err(unknown)?;
        Ok(found.is_some_and(|found| !is_terminating(found.value())))
    }

    /// Takes back an object that was created a moment ago, whoever has changed it since.
    async fn undo(&self, work: &Work, created: &Value) -> Result<(), Failure> {
        let request = work.permit.request();
        for tries in 0..UNDO_TRIES {
            let found = self.objects.find(request.kind, request.namespace(), &work.name).await;
            let Some(current) = found.map_err(unknown)? else { return Ok(()) };
            if meta::uid(current.value()) != meta::uid(created) {
                return Ok(());
            }
            match self.objects.delete(current.key(), current.revision()).await {
                Ok(_) | Err(StoreError::NotFound) => {
                    self.strategy_of(work).release(current.value(), None, u64::MAX).await;
                    return Ok(());
                }
                Err(StoreError::Conflict { .. }) => super::pause(tries).await,
                Err(failed) => return Err(Failure::Store(failed)),
            }
        }
        error!(
            kind = request.kind.plural,
            namespace = request.namespace(),
            name = work.name,
            "stays without a namespace"
        );
        Ok(())
    }
}

/// The object is stored, and whether it may stay could not be found out; the repair will see.
fn unknown(status: Status) -> Failure {
    Failure::Store(StoreError::Unavailable(anyhow::Error::new(status)))
}
