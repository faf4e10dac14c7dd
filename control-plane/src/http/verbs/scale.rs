//! `scale`: how many replicas a workload has and should have, as `autoscaling/v1 Scale`.
//!
//! In: a view of the workload, whole or patched. Out: the same view after `.spec.replicas` was
//! changed like in any other update.

use http::StatusCode;
use nodeplane_api::{
    apply::{ApplyError, configuration},
    columns,
    k8s_openapi::api::autoscaling::v1::Scale,
    kinds::Verb,
    meta,
    selector::format_label_selector,
    status::{FieldErrors, Status},
};
use serde_json::{Value, json};

use super::{
    answer,
    apply::{self, Asked},
    ask::Ask,
    intake,
    options::WriteOptions,
    patch::Patch,
};
use crate::{
    http::reply::Reply,
    registry::engine::{Ownership, Part, Target},
};

const GROUP: &str = "autoscaling";
const API_VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";

/// Carries out a call on the view.
///
/// # Errors
/// Those of the verb on the object itself.
pub(super) async fn serve(ask: &Ask<'_>, verb: Verb) -> Result<Reply, Status> {
    let scaled = match verb {
        Verb::Get => ask.api.objects.newest(ask.kind(), ask.namespace(), ask.name()).await?.into_value(),
        Verb::Update => replace(ask).await?,
        Verb::Patch if apply::is_asked(ask.call) => merge(ask).await?,
        Verb::Patch => change(ask).await?,
        _ => return Err(Status::method_not_allowed()),
    };
    answer::object_with(ask, StatusCode::OK, &view(&scaled), columns::SCALE)
}

/// The view of a workload.
fn view(workload: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = workload["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let selector = match &workload["spec"]["selector"] {
        Value::Null => String::new(),
        // A ReplicationController has labels only.
        Value::Object(labels) if labels.values().all(Value::is_string) => {
            format_label_selector(&json!({ "matchLabels": labels }))
        }
        selector => format_label_selector(selector),
    };
    json!({
        "kind": KIND,
        "apiVersion": API_VERSION,
        "metadata": metadata,
        "spec": { "replicas": workload["spec"]["replicas"].as_i64().unwrap_or(0) },
        "status": {
            "replicas": workload["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector,
        },
    })
}

async fn replace(ask: &Ask<'_>) -> Result<Value, Status> {
    let options = WriteOptions::read(&ask.call.query, "UpdateOptions")?;
    let asked = intake::document(ask.call, (API_VERSION, KIND))?.value;
    let unhandled =
        |why: String| Status::bad_request(format!("{KIND} in version \"v1\" cannot be handled as a {KIND}: {why}"));
    let asked = typed(asked).map_err(unhandled)?;
    check(ask, &asked)?;
    let target = ask.present(Part::Whole, options.dry_run);
    let written = ask.api.engine.write(ask.permit, &target, |old| Ok(edit(old, &asked).into())).await?;
    Ok(written.object)
}

async fn change(ask: &Ask<'_>) -> Result<Value, Status> {
    let patch = Patch::read(ask.call)?;
    let options = WriteOptions::read_patch(&ask.call.query, false)?;
    let with_patch = |old: Option<&Value>| {
        let patched = patch.apply(&old.map(view).unwrap_or_default(), None)?;
        let asked = typed(patched.clone()).map_err(|why| patch.refused(&patched, &why))?;
        check(ask, &asked)?;
        Ok(edit(old, &asked).into())
    };
    let written = ask.api.engine.write(ask.permit, &ask.present(Part::Whole, options.dry_run), with_patch).await?;
    Ok(written.object)
}

/// Applies a view. Its owners are those of the replicas in the workload.
async fn merge(ask: &Ask<'_>) -> Result<Value, Status> {
    let asked = Asked::read(ask)?;
    let definition = <Scale as schemars::JsonSchema>::schema_name();
    let config = configuration((API_VERSION, KIND), &definition, asked.config.clone()).map_err(apply::refusal)?;
    let part = of_workload(ask, &config);
    let edit = |old: Option<&Value>| {
        let mut object = asked.apply(ask, old, &part).map_err(|error| {
            apply::refusal(match error {
                ApplyError::Conflicts(conflicts) => ApplyError::Conflicts(conflicts.seen_in(API_VERSION)),
                other => other,
            })
        })?;
        asked.refuse_duplicates()?;
        // A view without replicas has none.
        if object["spec"]["replicas"].is_null() {
            object["spec"]["replicas"] = 0.into();
        }
        check(ask, &view(&object))?;
        Ok(object.into())
    };
    let target = Target { ownership: Ownership::Applied, ..ask.present(Part::Whole, asked.options.dry_run) };
    Ok(ask.api.engine.write(ask.permit, &target, edit).await?.object)
}

/// What an applied view says of its workload.
fn of_workload(ask: &Ask<'_>, config: &Value) -> Value {
    let kind = ask.kind();
    let mut part = json!({ "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {} });
    for field in ["name", "namespace", "uid", "resourceVersion"] {
        if let Some(value) = config["metadata"].get(field) {
            part["metadata"][field] = value.clone();
        }
    }
    if let Some(replicas) = config["spec"].get("replicas") {
        part["spec"] = json!({ "replicas": replicas });
    }
    part
}

/// A view that has the shape of one.
fn typed(mut view: Value) -> Result<Value, String> {
    if !view.is_object() {
        return Err("the body is not an object".to_owned());
    }
    for (field, value) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if view[field].is_null() {
            view[field] = value.into();
        }
    }
    let scale: Scale = serde_json::from_value(view).map_err(|error| error.to_string())?;
    serde_json::to_value(scale).map_err(|error| error.to_string())
}

/// What is wrong with a view.
fn check(ask: &Ask<'_>, view: &Value) -> Result<(), Status> {
    let (name, wanted) = (meta::name(view), ask.name());
    if name != wanted {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    let replicas = view["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas >= 0 {
        return Ok(());
    }
    let mut errors = FieldErrors::default();
    errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
    Err(Status::invalid_as(GROUP, KIND, wanted, &errors))
}

/// The workload with the replicas, revision and uid of a view.
fn edit(old: Option<&Value>, view: &Value) -> Value {
    let mut object = old.cloned().unwrap_or_default();
    object["spec"]["replicas"] = view["spec"]["replicas"].as_i64().unwrap_or(0).into();
    for field in ["resourceVersion", "uid"] {
        meta::set(&mut object, field, meta::text(view, field));
    }
    object
}
