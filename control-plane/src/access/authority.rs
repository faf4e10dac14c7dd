//! The one place that gives permits.

use async_trait::async_trait;
use nodeplane_api::status::Status;

use super::{
    caller::{Caller, UNAUTHENTICATED},
    everybody::{BasicUser, Discovery, Masters},
    request::{Attributes, Request},
    rules::Rules,
};

/// Evidence that a caller may do what it asks for.
#[derive(Clone, Debug)]
pub struct Permit {
    caller: Caller,
    request: Request,
}

impl Permit {
    /// Who is permitted.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What is permitted.
    pub fn request(&self) -> &Request {
        &self.request
    }
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// Something with objects.
    Objects(&'a Request),
    /// Something that no path of the API leads to, such as a verb or a resource that only rules
    /// know. Nothing is done with it, but one may ask who may.
    Unserved(&'a Attributes),
    /// A path that tells about the API and not about objects, and the method in lower case.
    Path {
        /// Such as `/apis`.
        path: &'a str,
        /// Such as `get`.
        verb: &'a str,
    },
}

/// What an authorizer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The caller may.
    Allow,
    /// Nothing: another one may allow it. If none does, the caller reads why, unless it is empty.
    Pass(String),
}

impl Decision {
    /// Nothing, without a reason.
    pub const NOTHING: Self = Self::Pass(String::new());
}

/// One that knows what some callers may do.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Whether the caller may do what it asks for.
    async fn decide(&self, caller: &Caller, asked: Asked<'_>) -> Decision;

    /// What a caller may do in a namespace, as far as that can be told in advance.
    async fn rules(&self, _caller: &Caller, _namespace: &str) -> Rules {
        Rules::default()
    }
}

/// All authorizers.
pub struct Authority {
    authorizers: Vec<Box<dyn Authorizer>>,
}

impl Authority {
    /// Administrators may do everything, and everybody with a name may look at the API; what else
    /// is allowed, these know.
    pub fn new(others: Vec<Box<dyn Authorizer>>) -> Self {
        let mut authorizers: Vec<Box<dyn Authorizer>> =
            vec![Box::new(Masters), Box::new(Discovery), Box::new(BasicUser)];
        authorizers.extend(others);
        Self { authorizers }
    }

    /// Lets a caller do something with objects.
    ///
    /// # Errors
    /// 401 for a caller without a credential, 403 in the words of RBAC otherwise.
    pub async fn permit(&self, caller: Caller, request: Request) -> Result<Permit, Status> {
        match self.decide(&caller, Asked::Objects(&request)).await {
            Ok(()) => Ok(Permit { caller, request }),
            Err(_) if caller.is_in(UNAUTHENTICATED) => Err(Status::unauthorized()),
            Err(why) => Err(denied(&caller, &request, &why)),
        }
    }

    /// Lets a caller look at a path.
    ///
    /// # Errors
    /// As [`Authority::permit`].
    pub async fn look(&self, caller: &Caller, path: &str, method: &str) -> Result<(), Status> {
        let verb = &method.to_ascii_lowercase();
        match self.decide(caller, Asked::Path { path, verb }).await {
            Ok(()) => Ok(()),
            Err(_) if caller.is_in(UNAUTHENTICATED) => Err(Status::unauthorized()),
            Err(why) => {
                let words = format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", caller.name());
                Err(Status::access_denied(because(words, &why)))
            }
        }
    }

    /// What a caller may do in a namespace, as far as that can be told in advance.
    pub async fn rules(&self, caller: &Caller, namespace: &str) -> Rules {
        let mut all = Rules::default();
        for authorizer in &self.authorizers {
            all.join(authorizer.rules(caller, namespace).await);
        }
        all
    }

    /// Whether a caller may do something; nothing is done.
    ///
    /// # Errors
    /// The reasons of all when nobody allows it.
    pub async fn decide(&self, caller: &Caller, asked: Asked<'_>) -> Result<(), String> {
        let mut reasons = Vec::new();
        for authorizer in &self.authorizers {
            match authorizer.decide(caller, asked).await {
                Decision::Allow => return Ok(()),
                Decision::Pass(why) if why.is_empty() => {}
                Decision::Pass(why) => reasons.push(why),
            }
        }
        Err(reasons.join("\n"))
    }
}

fn denied(caller: &Caller, request: &Request, why: &str) -> Status {
    let kind = request.kind;
    let resource = match request.subresource {
        Some(sub) => format!("{}/{}", kind.plural, sub.name()),
        None => kind.plural.to_owned(),
    };
    let place = match &request.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let (user, verb, group) = (caller.name(), request.verb.name(), kind.group);
    let words =
        because(format!("User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"), why);
    match &request.name {
        Some(name) => Status::forbidden(kind, name, words),
        None => Status::access_denied(format!("{} is forbidden: {words}", kind.qualified_plural())),
    }
}

fn because(words: String, why: &str) -> String {
    if why.is_empty() { words } else { format!("{words}: {why}") }
}
