//! Rights that do not depend on roles: of administrators, and of everybody.

use async_trait::async_trait;
use nodeplane_api::kinds::Verb;

use super::{
    authority::{Asked, Authorizer, Decision},
    caller::{AUTHENTICATED, Caller, MASTERS, MONITORING},
    request::Request,
    rules::{PathRule, ResourceRule, Rules},
};

/// Administrators and the parts of this process.
pub(super) struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn decide(&self, caller: &Caller, _: Asked<'_>) -> Decision {
        if caller.is_in(MASTERS) { Decision::Allow } else { Decision::NOTHING }
    }

    async fn rules(&self, caller: &Caller, _: &str) -> Rules {
        match caller.is_in(MASTERS) {
            true => Rules {
                resources: vec![ResourceRule::new(&["*"], &["*"], &["*"])],
                paths: vec![PathRule::new(&["*"], &["*"])],
                ..Rules::default()
            },
            false => Rules::default(),
        }
    }
}

/// Upstream's roles `system:discovery`, `system:public-info-viewer` and `system:monitoring`.
pub(super) struct Discovery;

/// For everybody.
const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
/// For those who watch over the cluster; so is what lies below.
const GUARDED: [&str; 4] = ["/healthz", "/livez", "/metrics", "/readyz"];
/// The same, as rules tell it.
const TOLD_TO_WATCHERS: [&str; 7] =
    ["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*"];
/// What upstream lists for everybody who showed a credential, and the issuer of tokens.
const TOLD: [&str; 13] = [
    "/.well-known/openid-configuration",
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
    "/version/",
];

#[async_trait]
impl Authorizer for Discovery {
    async fn decide(&self, caller: &Caller, asked: Asked<'_>) -> Decision {
        let Asked::Path { path, verb } = asked else { return Decision::NOTHING };
        let lies_at =
            |place: &&str| path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let may = match path {
            _ if !matches!(verb, "get" | "head") => false,
            _ if PUBLIC.contains(&path) => true,
            _ if GUARDED.iter().any(lies_at) => caller.is_in(MONITORING),
            _ => caller.is_in(AUTHENTICATED),
        };
        if may { Decision::Allow } else { Decision::NOTHING }
    }

    async fn rules(&self, caller: &Caller, _: &str) -> Rules {
        let urls = if caller.is_in(AUTHENTICATED) { &TOLD[..] } else { &PUBLIC };
        let mut paths = vec![PathRule::new(&["get"], urls)];
        if caller.is_in(MONITORING) {
            paths.push(PathRule::new(&["get"], &TOLD_TO_WATCHERS));
        }
        Rules { paths, ..Rules::default() }
    }
}

/// Upstream's role `system:basic-user`: whoever has a name may ask about themselves.
pub(super) struct BasicUser;

const OWN: [(&str, &[&str]); 2] = [
    ("authentication.k8s.io", &["selfsubjectreviews"]),
    ("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
];

#[async_trait]
impl Authorizer for BasicUser {
    async fn decide(&self, caller: &Caller, asked: Asked<'_>) -> Decision {
        match asked {
            Asked::Objects(request) if caller.is_in(AUTHENTICATED) && is_about_oneself(request) => Decision::Allow,
            _ => Decision::NOTHING,
        }
    }

    async fn rules(&self, caller: &Caller, _: &str) -> Rules {
        match caller.is_in(AUTHENTICATED) {
            true => Rules {
                resources: OWN.map(|(group, plurals)| ResourceRule::new(&["create"], &[group], plurals)).into(),
                ..Rules::default()
            },
            false => Rules::default(),
        }
    }
}

fn is_about_oneself(request: &Request) -> bool {
    let (group, plural) = request.resource();
    let is_own = OWN.iter().any(|(of, plurals)| *of == group && plurals.contains(&plural));
    is_own && request.verb == Verb::Create && request.subresource.is_none()
}
