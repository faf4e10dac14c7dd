//! `token`: a token with which a service account calls the API.
//!
//! In: a `TokenRequest`. Out: the same one with a signed token in its status. Nothing is stored:
//! a token ends by its time, or with the account or what it is bound to.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use nodeplane_api::{
    meta,
    status::{FieldErrors, Status},
};
use serde_json::{Value, json};

use super::{answer, ask::Ask, intake, options::WriteOptions};
use crate::{
    http::reply::Reply,
    registry::{metadata::own, objects::known},
    store::object::Object,
    tokens::{Reference, Subjects, Wish},
};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
/// How long a token holds when the client does not say.
const DEFAULT_SECONDS: i64 = 3600;
const LEAST_SECONDS: i64 = 600;
const MOST_SECONDS: i64 = 1 << 32;

/// Makes a token for the account of the path.
///
/// # Errors
/// 400 and 422 for a bad request, 403 from admission, 404 for an account or an object that there
/// is not, 409 for an object with another uid.
pub(super) async fn create(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let named = ("authentication.k8s.io/v1", KIND);
    let intake = intake::travelling(ask.call, named, options.validation)?;
    let mut request = intake.object;
    check_place(ask, &request)?;
    let account = ask.api.objects.newest(ask.kind(), ask.namespace(), ask.name()).await?;
    let now = Timestamp::now();
    complete(ask, &mut request, now);
    check(&request)?;
    let mut request = ask.api.engine.review(ask.permit, ask.name(), request).await?;
    if request["spec"]["audiences"].as_array().is_none_or(Vec::is_empty) {
        request["spec"]["audiences"] = json!(ask.api.tokens.audiences());
    }

    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
    let audiences = request["spec"]["audiences"].as_array().into_iter().flatten();
    let wish = Wish {
        subjects: subjects(ask, &account, &request["spec"]["boundObjectRef"]).await?,
        audiences: audiences.filter_map(Value::as_str).map(str::to_owned).collect(),
        seconds,
    };
    let token = ask.api.tokens.issue(&wish, now).map_err(Status::internal)?;
    let expires = now.saturating_add(SignedDuration::from_secs(seconds)).map_err(Status::internal)?;
    request["status"] = json!({ "token": token, "expirationTimestamp": own::time(expires) });
    Ok(answer::object_with(ask, StatusCode::CREATED, &request, &[])?.with_warnings(&intake.warnings))
}

/// Who writes a name or a namespace into the request writes the account's.
fn check_place(ask: &Ask<'_>, request: &Value) -> Result<(), Status> {
    for (field, said, is) in
        [("name", meta::name(request), ask.name()), ("namespace", meta::namespace(request), ask.namespace())]
    {
        if !said.is_empty() && said != is {
            let mut errors = FieldErrors::default();
            let why = format!("must match the service account {field} if specified");
            errors.invalid(format!("metadata.{field}"), said, why);
            return Err(Status::invalid_as(GROUP, KIND, ask.name(), &errors));
        }
    }
    Ok(())
}

/// Fills what the client left out.
fn complete(ask: &Ask<'_>, request: &mut Value, now: Timestamp) {
    if request["metadata"].is_null() {
        request["metadata"] = json!({});
    }
    for (field, value) in [
        ("name", ask.name().to_owned()),
        ("namespace", ask.namespace().to_owned()),
        ("creationTimestamp", own::time(now)),
    ] {
        meta::set(request, field, value);
    }
    if request["spec"]["expirationSeconds"].is_null() {
        request["spec"]["expirationSeconds"] = DEFAULT_SECONDS.into();
    }
}

/// As upstream's `ValidateTokenRequest`.
fn check(request: &Value) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    let (field, seconds) =
        ("spec.expirationSeconds", request["spec"]["expirationSeconds"].as_i64().unwrap_or_default());
    if seconds < LEAST_SECONDS {
        errors.invalid(field, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > MOST_SECONDS {
        errors.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_as(GROUP, KIND, "", &errors)) }
}

/// The account and what the token is bound to, as they are now.
async fn subjects(ask: &Ask<'_>, account: &Object, bound: &Value) -> Result<Subjects, Status> {
    let mut subjects = Subjects {
        namespace: ask.namespace().to_owned(),
        account: Reference { name: ask.name().to_owned(), uid: uid(account) },
        ..Subjects::default()
    };
    if bound.is_null() {
        return Ok(subjects);
    }
    let text = |field: &str| bound[field].as_str().unwrap_or_default();
    let (api_version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
    let found = match (api_version.contains('/'), kind) {
        (false, "Pod") => bind_pod(ask, name, &mut subjects).await?,
        (false, "Node") => {
            let found = uid(&find(ask, "nodes", "", name).await?);
            subjects.node = Some(Reference { name: name.to_owned(), uid: found.clone() });
            found
        }
        (false, "Secret") => {
            let found = uid(&find(ask, "secrets", ask.namespace(), name).await?);
            subjects.secret = Some(Reference { name: name.to_owned(), uid: found.clone() });
            found
        }
        _ => {
            return Err(Status::bad_request(format!("cannot bind token to object of type {api_version}, Kind={kind}")));
        }
    };
    let wanted = text("uid");
    if wanted.is_empty() || wanted == found { Ok(subjects) } else { Err(other(ask, kind, name, wanted)) }
}

/// Binds a token to a pod, and says on which node it is. The pod's uid.
async fn bind_pod(ask: &Ask<'_>, name: &str, subjects: &mut Subjects) -> Result<String, Status> {
    let pod = find(ask, "pods", ask.namespace(), name).await?;
    if pod.tree()["spec"]["serviceAccountName"] != ask.name() {
        let account = ask.name();
        let why = format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        );
        return Err(Status::bad_request(why));
    }
    if let Some(node) = pod.tree()["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
        // The entry of a node may be missing; which one it is, the token says all the same.
        let entry = ask.api.objects.find(known("", "v1", "nodes")?, "", node).await?;
        subjects.node = Some(Reference { name: node.to_owned(), uid: entry.as_ref().map(uid).unwrap_or_default() });
    }
    subjects.pod = Some(Reference { name: name.to_owned(), uid: uid(&pod) });
    Ok(uid(&pod))
}

async fn find(ask: &Ask<'_>, plural: &str, namespace: &str, name: &str) -> Result<Object, Status> {
    ask.api.objects.newest(known("", "v1", plural)?, namespace, name).await
}

fn uid(object: &Object) -> String {
    meta::uid(&object.tree()).to_owned()
}

/// 409: the name belongs to another object by now.
fn other(ask: &Ask<'_>, kind: &str, name: &str, wanted: &str) -> Status {
    let why = format!(
        "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been \
         deleted and then recreated"
    );
    let mut status = Status::conflict(ask.kind(), name, &why);
    status.message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
    status.details["kind"] = kind.into();
    status
}
