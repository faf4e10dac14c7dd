//! What a caller may do.
//!
//! In: a [`Caller`] and the route of the call. Out: a [`Permit`], which only this module makes
//! and which every verb takes as an argument. Administrators, nodes and parts of this process
//! may do everything; roles come with RBAC.

use nodeplane_api::status::Status;

use super::{
    authn::{Caller, MASTERS, NODES, UNAUTHENTICATED},
    route::{Request, Route},
};

/// Evidence that a caller may do what it asked for.
#[derive(Clone, Debug)]
pub struct Permit {
    caller: Caller,
}

impl Permit {
    /// Who is permitted.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Decides about one call.
///
/// # Errors
/// 401 for a caller without a credential, 403 in the words of RBAC otherwise.
pub fn authorise(caller: Caller, route: &Route, path: &str, method: &http::Method) -> Result<Permit, Status> {
    if route.is_public() || caller.is_in(MASTERS) || caller.is_in(NODES) {
        return Ok(Permit { caller });
    }
    if caller.is_in(UNAUTHENTICATED) {
        return Err(Status::unauthorized());
    }
    Err(match route {
        Route::Resource(request) => denied(&caller, request),
        // Discovery is open to everybody with a name (upstream's role system:discovery).
        route if route.is_discovery() => return Ok(Permit { caller }),
        _ => Status::access_denied(format!(
            "forbidden: User \"{}\" cannot {} path \"{path}\"",
            caller.name(),
            method.as_str().to_ascii_lowercase()
        )),
    })
}

fn denied(caller: &Caller, request: &Request) -> Status {
    let kind = request.kind;
    let resource = match request.subresource {
        Some(sub) => format!("{}/{}", kind.plural, sub.name()),
        None => kind.plural.to_owned(),
    };
    let place = match &request.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        caller.name(),
        request.verb.name(),
        kind.group,
    );
    match &request.name {
        Some(name) => Status::forbidden(kind, name, why),
        None => Status::access_denied(format!("{} is forbidden: {why}", kind.qualified_plural())),
    }
}
