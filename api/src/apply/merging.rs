//! Owners of what is applied, and the object that comes of it.

use serde_json::{Map, Value};

use super::{
    Conflicts, Writer,
    fields::FieldSet,
    last_applied,
    managed::{Entry, Managed, Operation, Owner, time},
    typed::{self, Side},
    updating::{as_found, entries, strip},
};
use crate::{
    meta,
    schema::{self, Model, Type},
};

/// Who owns what was there before anybody applied anything.
const BEFORE: &str = "before-first-apply";

/// A configuration that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The body is not a configuration of the kind: 400.
    #[error("{0}")]
    Malformed(String),
    /// Others own what it says: 409.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// Upstream fails without a reason here: 500.
    #[error("{0}")]
    Failed(String),
}

/// What `config` makes of the stored object (of nothing, when there is none), with the owners in
/// `metadata.managedFields`. What the applier applied last time, does not apply any more, and
/// nobody else owns, is gone. With `force`, others lose what they have otherwise.
///
/// The object may have nulls and values that are not in their canonical form.
///
/// # Errors
/// [`ApplyError`].
pub fn apply(writer: &Writer<'_>, live: Option<&Value>, config: &Value, force: bool) -> Result<Value, ApplyError> {
    let managed = live.map_or(Ok(Managed::default()), |live| Managed::decode(entries(live)));
    let managed = managed.map_err(|why| ApplyError::Failed(format!("failed to decode managed fields: {why}")))?;
    let (version, definition) = (writer.kind.api_version(), (writer.kind.shape.definition)());
    let config = configuration((&version, writer.kind.kind), &definition, config.clone())?;
    let work = Work { writer, model: Model::get(), live, managed, config: &config };
    // A view of the object has no annotations.
    let is_view = writer.part.is_some_and(|part| part.document.is_some());
    let is_kubectls = writer.manager == last_applied::KUBECTL && !is_view;
    let (mut object, managed) = match work.attempt(force) {
        Err(ApplyError::Conflicts(conflicts)) if is_kubectls => work.forgive(conflicts)?,
        other => other?,
    };
    meta::remove(&mut object, "managedFields");
    if let Some(entries) = managed.encode() {
        meta::set(&mut object, "managedFields", entries);
    }
    if is_kubectls {
        last_applied::renew(&mut object, &config);
    }
    Ok(object)
}

/// A configuration of this `apiVersion` and `kind` with canonical values; its nulls stay.
/// `definition` is the full name of its type.
///
/// # Errors
/// [`ApplyError`] for what is no such configuration.
pub fn configuration(named: (&str, &str), definition: &str, config: Value) -> Result<Value, ApplyError> {
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (group, plain) = version.split_once('/').unwrap_or(("", version));
    let shown = format!("{group}/{plain}, Kind={kind}");
    if (version, kind) != named {
        return Err(ApplyError::Malformed(format!("invalid object type: {shown}")));
    }
    if !entries(&config).is_null() {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".to_owned()));
    }
    let key = format!("{}/{}; {shown}", meta::namespace(&config), meta::name(&config));
    let failed = |why: String| ApplyError::Failed(format!("failed to create typed patch object ({key}): {why}"));
    let model = Model::get();
    let root = model.by_name(definition).map_or(Type::Json, Type::Object);
    typed::check(model, &root, &config).map_err(failed)?;
    schema::decode_config(definition, config).map_err(|error| failed(error.message))
}

struct Work<'a> {
    writer: &'a Writer<'a>,
    model: &'static Model,
    live: Option<&'a Value>,
    managed: Managed,
    config: &'a Value,
}

impl Work<'_> {
    fn attempt(&self, force: bool) -> Result<(Value, Managed), ApplyError> {
        let nothing = Value::Object(Map::new());
        let live = self.live.unwrap_or(&nothing);
        let mut managed = match self.live {
            Some(live) if self.managed.is_empty() => {
                as_found(self.writer, BEFORE, live).map_err(|why| self.failed(&why))?
            }
            _ => self.managed.clone(),
        };
        let owner = Owner::of(self.writer, Operation::Apply);
        let last = managed.entry(&owner).cloned();
        let root = self.writer.root();
        let merged = typed::merge(self.model, &root, live, self.config).map_err(|why| self.failed(&why))?;
        let fields = typed::extent(self.model, &root, self.config).map_err(|why| self.failed(&why))?;
        let time_before = last.as_ref().map_or(Value::Null, |last| last.time.clone());
        let version = self.writer.kind.api_version();
        managed.put(Entry { owner: owner.clone(), version, fields: self.writer.reset(fields), time: time_before });
        let object = match &last {
            Some(last) => self.prune(merged, &managed, last).map_err(|why| self.failed(&why))?,
            None => merged,
        };
        let is_changed = self.take(&mut managed, &owner, (live, &object), force)?;
        if let Some(entry) = managed.0.iter_mut().find(|entry| entry.owner == owner) {
            entry.fields = strip(std::mem::take(&mut entry.fields));
            if is_changed {
                entry.time = time(self.writer.now);
            }
        }
        managed.tidy();
        Ok((object, managed))
    }

    /// Takes from all others what has another value now, or says who has it. Tells whether
    /// anything has.
    fn take(
        &self,
        managed: &mut Managed,
        owner: &Owner,
        pair: (&Value, &Value),
        force: bool,
    ) -> Result<bool, ApplyError> {
        let difference =
            typed::compare(self.model, &self.writer.root(), pair, Side::Merged).map_err(|why| self.failed(&why))?;
        let is_changed = !difference.is_empty();
        let (changed, removed) = difference.into_changed();
        let (changed, removed) = (self.writer.reset(changed), self.writer.reset(removed));
        let version = self.writer.kind.api_version();
        let mut others: Vec<&mut Entry> =
            managed.0.iter_mut().filter(|entry| entry.owner != *owner && entry.version == version).collect();
        let owned = |entry: &&mut Entry| (entry.owner.clone(), entry.fields.intersection(&changed));
        if let Some(conflicts) = Conflicts::of(others.iter().map(owned).collect())
            && !force
        {
            return Err(ApplyError::Conflicts(conflicts));
        }
        for entry in &mut others {
            entry.fields.subtract(&changed);
            entry.fields.subtract(&removed);
        }
        Ok(is_changed)
    }

    /// The merged object without what the applier applied last and nobody has now.
    fn prune(&self, merged: Value, managed: &Managed, last: &Entry) -> Result<Value, String> {
        if last.version != self.writer.kind.api_version() {
            return Ok(merged);
        }
        let (model, root) = (self.model, self.writer.root());
        let named = |set: &FieldSet| typed::with_named_fields(model, Some(&root), set);
        let extent = |value: &Value| Ok::<_, String>(named(&typed::extent(model, &root, value)?));
        let (whole, last) = (extent(&merged)?, named(&last.fields));
        let pruned = typed::remove(model, &root, &merged, &last)?;
        // What others have, or the applier still has, comes back.
        let mut owned = FieldSet::default();
        managed.0.iter().for_each(|entry| owned.join(named(&entry.fields)));
        owned.join(extent(&pruned)?);
        let pruned = typed::remove(model, &root, &merged, &whole.difference(&owned))?;
        // So does what the applier never had.
        let gone = whole.difference(&extent(&pruned)?).intersection(&last);
        typed::remove(model, &root, &merged, &gone)
    }

    /// Conflicts about fields that are as `kubectl apply` without the server's help left them are
    /// none.
    fn forgive(&self, conflicts: Conflicts) -> Result<(Value, Managed), ApplyError> {
        let allowed = self.live.and_then(|live| last_applied::fields(self.writer, live));
        let left = match allowed {
            Some(allowed) => conflicts.outside(&allowed),
            None => Some(conflicts),
        };
        left.map_or_else(|| self.attempt(true), |left| Err(ApplyError::Conflicts(left)))
    }

    fn failed(&self, why: &str) -> ApplyError {
        let live = self.live.unwrap_or(&Value::Null);
        let (key, kind) = (format!("{}/{}", meta::namespace(live), meta::name(live)), self.writer.kind);
        let named = format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind);
        ApplyError::Failed(format!("failed to create typed live object ({key}; {named}): {why}"))
    }
}
