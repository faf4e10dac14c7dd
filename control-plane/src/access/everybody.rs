//! Rights that do not depend on roles: of administrators, and of everybody.

use async_trait::async_trait;
use nodeplane_api::kinds::Verb;

use super::{
    authority::{Asked, Authorizer, Decision},
    caller::{AUTHENTICATED, Caller, MASTERS},
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

/// Upstream's roles `system:discovery` and `system:public-info-viewer`.
pub(super) struct Discovery;

const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
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
        let is_public = PUBLIC
            .iter()
            .any(|public| path.strip_prefix(public).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        let is_read = matches!(verb, "get" | "head");
        if is_read && (is_public || caller.is_in(AUTHENTICATED)) { Decision::Allow } else { Decision::NOTHING }
    }

    async fn rules(&self, caller: &Caller, _: &str) -> Rules {
        let urls = if caller.is_in(AUTHENTICATED) { &TOLD[..] } else { &PUBLIC };
        Rules { paths: vec![PathRule::new(&["get"], urls)], ..Rules::default() }
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
