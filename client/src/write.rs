//! Writes as values, and the one hand that carries them out.
//!
//! In: [`Write`]s, as pure plans return them. Out: requests to the API server, and answers sorted
//! into the few that a controller decides by ([`WriteError`]). Never decides what to write, and
//! never retries: a failed write is planned again from newer facts.

use std::{fmt, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, core::response::Status};
use nodeplane_api::{
    kinds::{Kind, Subresource},
    meta::{self, Key},
};
use serde::Serialize;
use serde_json::{Value, json};

/// The longest a single request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How the dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without their owner reference.
    Orphan,
}

/// One change of one object (or, for [`Write::DeleteAll`], of one kind in one namespace).
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Creates an object; its name may be left to `metadata.generateName`.
    Create {
        /// Kind of the object.
        kind: &'static Kind,
        /// Namespace; empty for cluster-scoped kinds.
        namespace: String,
        /// The object.
        object: Value,
    },
    /// Replaces an object, if its `metadata.resourceVersion` still is the one in `object`.
    Replace {
        /// Kind of the object.
        kind: &'static Kind,
        /// Which object.
        key: Key,
        /// The part that is replaced; the object itself without.
        part: Option<Subresource>,
        /// The whole object as it shall be.
        object: Value,
    },
    /// Changes some fields (JSON merge patch, RFC 7396). `metadata.resourceVersion` and
    /// `metadata.uid` in the patch are preconditions.
    Merge {
        /// Kind of the object.
        kind: &'static Kind,
        /// Which object.
        key: Key,
        /// The part that is changed; the object itself without.
        part: Option<Subresource>,
        /// The fields.
        patch: Value,
    },
    /// Posts to a subresource, such as a binding.
    Post {
        /// Kind of the object.
        kind: &'static Kind,
        /// Which object.
        key: Key,
        /// The subresource.
        part: Subresource,
        /// What to post.
        body: Value,
    },
    /// Deletes an object. One that is gone already counts as deleted.
    Delete {
        /// Kind of the object.
        kind: &'static Kind,
        /// Which object.
        key: Key,
        /// Only the object with this uid; any when empty.
        uid: String,
        /// Only as of this revision.
        revision: Option<String>,
        /// What happens to dependents.
        propagation: Propagation,
        /// Seconds until the object must be gone; the kind's default without.
        grace: Option<i64>,
    },
    /// Deletes all objects of a kind in a namespace.
    DeleteAll {
        /// Kind of the objects.
        kind: &'static Kind,
        /// Their namespace.
        namespace: String,
    },
}

impl Write {
    /// Creates `object` in its own namespace.
    pub fn create<T: Serialize>(kind: &'static Kind, object: &T) -> Self {
        let object = to_value(kind, object);
        Self::Create { kind, namespace: meta::namespace(&object).to_owned(), object }
    }

    /// Replaces `part` of the object that has the key of `object`.
    pub fn replace<T: Serialize>(kind: &'static Kind, part: Option<Subresource>, object: &T) -> Self {
        let object = to_value(kind, object);
        Self::Replace { kind, key: Key::of_value(&object), part, object }
    }

    /// Deletes the object with this uid in the background.
    pub fn delete(kind: &'static Kind, key: Key, uid: impl Into<String>) -> Self {
        Self::Delete { kind, key, uid: uid.into(), revision: None, propagation: Propagation::Background, grace: None }
    }

    /// The kind that is written to.
    pub fn kind(&self) -> &'static Kind {
        match self {
            Self::Create { kind, .. }
            | Self::Replace { kind, .. }
            | Self::Merge { kind, .. }
            | Self::Post { kind, .. }
            | Self::Delete { kind, .. }
            | Self::DeleteAll { kind, .. } => kind,
        }
    }
}

impl fmt::Display for Write {
    /// `create pods default/web-`, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = self.kind().plural;
        match self {
            Self::Create { object, namespace, .. } => {
                write!(f, "create {plural} {namespace}/{}{}", meta::name(object), meta::text(object, "generateName"))
            }
            Self::Replace { key, part, .. } => write!(f, "replace {plural} {key} {}", part_name(*part)),
            Self::Merge { key, part, .. } => write!(f, "patch {plural} {key} {}", part_name(*part)),
            Self::Post { key, part, .. } => write!(f, "post {plural} {key} {}", part.name()),
            Self::Delete { key, .. } => write!(f, "delete {plural} {key}"),
            Self::DeleteAll { namespace, .. } => write!(f, "delete all {plural} in {namespace}"),
        }
    }
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object changed meanwhile, or a precondition does not hold: plan again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// There is no such object (any more).
    #[error("not found: {0}")]
    NotFound(String),
    /// There is such an object already.
    #[error("already exists: {0}")]
    AlreadyExists(String),
    /// The namespace takes no new objects because it is on its way out.
    #[error("namespace is terminating: {0}")]
    NamespaceTerminating(String),
    /// The server understood and refused.
    #[error("{reason} ({code}): {message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// Machine-readable reason.
        reason: String,
        /// What the server says.
        message: String,
    },
    /// No (usable) answer. The write may have happened.
    #[error("no answer: {0}")]
    Unanswered(#[source] Box<kube::Error>),
    /// No answer in time. The write may have happened.
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    TimedOut,
}

impl WriteError {
    /// Whether this is the everyday consequence of acting on a cache: worth another look at newer
    /// facts, not worth a warning.
    pub fn is_staleness(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::NotFound(_) | Self::AlreadyExists(_))
    }

    /// What the server says, for people; what happened when it said nothing.
    pub fn message(&self) -> String {
        match self {
            Self::Conflict(message)
            | Self::NotFound(message)
            | Self::AlreadyExists(message)
            | Self::NamespaceTerminating(message)
            | Self::Refused { message, .. } => message.clone(),
            Self::Unanswered(_) | Self::TimedOut => self.to_string(),
        }
    }

    fn from_kube(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(*status),
            other => Self::Unanswered(Box::new(other)),
        }
    }

    fn from_status(status: Status) -> Self {
        let terminating = || {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
        };
        match (status.code, status.reason.as_str()) {
            (409, "AlreadyExists") => Self::AlreadyExists(status.message),
            (409, _) => Self::Conflict(status.message),
            (404, _) => Self::NotFound(status.message),
            (403, _) if terminating() => Self::NamespaceTerminating(status.message),
            _ => Self::Refused { code: status.code, reason: status.reason, message: status.message },
        }
    }
}

/// Carries out writes.
#[derive(Clone)]
pub struct Hands {
    client: Client,
}

impl Hands {
    /// Hands that write through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Carries out one write and returns the server's answer: the object, or a `Status`. A
    /// deletion of what is not there answers null.
    pub async fn apply(&self, write: &Write) -> Result<Value, WriteError> {
        match self.send(request(write)).await {
            Err(WriteError::NotFound(_)) if matches!(write, Write::Delete { .. }) => Ok(Value::Null),
            answer => answer,
        }
    }

    /// The object as it is now, asked of the server and not of a cache.
    pub async fn get(&self, kind: &Kind, key: &Key) -> Result<Option<Value>, WriteError> {
        match self.send(build(Method::GET, path(kind, key, None), None, &Value::Null)).await {
            Ok(object) => Ok(Some(object)),
            Err(WriteError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind in a namespace (everywhere when empty) as they are now.
    pub async fn list(&self, kind: &Kind, namespace: &str) -> Result<Vec<Value>, WriteError> {
        let mut answer = self.send(build(Method::GET, collection(kind, namespace), None, &Value::Null)).await?;
        match answer["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Carries out `writes` in batches of 1, 2, 4, 8 ..., each batch at once, and gives each answer
    /// to `each`. Ends after the first batch with a failure, so that a server that refuses all of
    /// them is asked once and not a thousand times. Returns the first failure and how many writes
    /// were not tried.
    pub async fn apply_in_batches(
        &self,
        writes: &[Write],
        mut each: impl FnMut(&Write, &Result<Value, WriteError>),
    ) -> Result<(), (WriteError, usize)> {
        let mut rest = writes;
        let mut size = 1;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            let mut running: FuturesUnordered<_> =
                batch.iter().map(|write| async move { (write, self.apply(write).await) }).collect();
            let mut failure = None;
            while let Some((write, answer)) = running.next().await {
                each(write, &answer);
                if let Err(error) = answer {
                    failure.get_or_insert(error);
                }
            }
            rest = later;
            if let Some(error) = failure {
                return Err((error, rest.len()));
            }
            size *= 2;
        }
        Ok(())
    }

    async fn send(&self, request: Result<Request<Vec<u8>>, http::Error>) -> Result<Value, WriteError> {
        let request = request.map_err(|error| WriteError::Unanswered(Box::new(kube::Error::HttpError(error))))?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.client.request::<Value>(request)).await {
            Ok(answer) => answer.map_err(WriteError::from_kube),
            Err(_) => Err(WriteError::TimedOut),
        }
    }
}

fn request(write: &Write) -> Result<Request<Vec<u8>>, http::Error> {
    const JSON: Option<&str> = Some("application/json");
    match write {
        Write::Create { kind, namespace, object } => build(Method::POST, collection(kind, namespace), JSON, object),
        Write::Replace { kind, key, part, object } => build(Method::PUT, path(kind, key, *part), JSON, object),
        Write::Merge { kind, key, part, patch } => {
            build(Method::PATCH, path(kind, key, *part), Some("application/merge-patch+json"), patch)
        }
        Write::Post { kind, key, part, body } => build(Method::POST, path(kind, key, Some(*part)), JSON, body),
        Write::Delete { kind, key, uid, revision, propagation, grace } => {
            let options = delete_options(uid, revision.as_deref(), *propagation, *grace);
            build(Method::DELETE, path(kind, key, None), JSON, &options)
        }
        Write::DeleteAll { kind, namespace } => {
            let options = delete_options("", None, Propagation::Background, None);
            build(Method::DELETE, collection(kind, namespace), JSON, &options)
        }
    }
}

fn build(
    method: Method,
    path: String,
    content_type: Option<&str>,
    body: &Value,
) -> Result<Request<Vec<u8>>, http::Error> {
    let request = Request::builder().method(method).uri(path);
    match content_type {
        Some(content_type) => request.header(CONTENT_TYPE, content_type).body(body.to_string().into_bytes()),
        None => request.body(Vec::new()),
    }
}

fn delete_options(uid: &str, revision: Option<&str>, propagation: Propagation, grace: Option<i64>) -> Value {
    let policy = match propagation {
        Propagation::Background => "Background",
        Propagation::Foreground => "Foreground",
        Propagation::Orphan => "Orphan",
    };
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy });
    if let Some(grace) = grace {
        options["gracePeriodSeconds"] = grace.into();
    }
    if !uid.is_empty() {
        options["preconditions"]["uid"] = uid.into();
    }
    if let Some(revision) = revision {
        options["preconditions"]["resourceVersion"] = revision.into();
    }
    options
}

/// The path of all objects of a kind; in all namespaces when `namespace` is empty.
fn collection(kind: &Kind, namespace: &str) -> String {
    let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
    if namespace.is_empty() || !kind.is_namespaced() {
        format!("{root}/{}", kind.plural)
    } else {
        format!("{root}/namespaces/{namespace}/{}", kind.plural)
    }
}

fn path(kind: &Kind, key: &Key, part: Option<Subresource>) -> String {
    let object = format!("{}/{}", collection(kind, &key.namespace), key.name);
    match part {
        Some(part) => format!("{object}/{}", part.name()),
        None => object,
    }
}

fn part_name(part: Option<Subresource>) -> &'static str {
    part.map(Subresource::name).unwrap_or_default()
}

/// An object as JSON, with the type that lists leave out.
fn to_value<T: Serialize>(kind: &Kind, object: &T) -> Value {
    // Typed Kubernetes objects have string keys only and always serialise; null would be refused
    // by the server, with a message.
    let mut object = serde_json::to_value(object).unwrap_or_default();
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.into();
    object
}

#[cfg(test)]
mod tests;
