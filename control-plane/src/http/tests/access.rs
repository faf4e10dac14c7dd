//! Who may come in, and what they are told when they may not.

use std::future::{pending, ready};

use http::{HeaderValue, Method, header};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, config_map};
use crate::http::{authn::Caller, call::Call};

fn certificate(bed: &Bed, user: &str, groups: &[&str]) -> CertificateDer<'static> {
    let identity = bed.pki.client(user, groups).unwrap();
    CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap()
}

async fn call(bed: &Bed, certificate: Option<&CertificateDer<'_>>, mut call: Call) -> Answer {
    let body = std::mem::take(&mut call.body);
    Answer::of(bed.api.answer(certificate, call, ready(Ok(body))).await)
}

fn get(path: &str) -> Call {
    Ask::new(Method::GET, path).0
}

#[tokio::test]
async fn without_a_credential_nothing_is_told_but_health_and_version() {
    let bed = Bed::start().await;
    for path in ["/api", "/apis", CONFIG_MAPS, "/openapi/v3", "/", "/no/such/path"] {
        assert_eq!(call(&bed, None, get(path)).await.failed(401, "Unauthorized"), "Unauthorized", "{path}");
    }
    for path in ["/version", "/healthz", "/livez", "/readyz"] {
        assert_eq!(call(&bed, None, get(path)).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_issued_is_refused_everywhere() {
    let bed = Bed::start().await;
    let mut with_token = get("/version");
    with_token.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer made-up"));
    call(&bed, None, with_token).await.failed(401, "Unauthorized");
}

#[tokio::test]
async fn a_certificate_says_who_and_of_which_group() {
    let bed = Bed::start().await;
    let admin = certificate(&bed, "jane", &["system:masters"]);
    let caller = Caller::from_certificate(&admin).unwrap();
    assert_eq!(caller.name(), "jane");
    assert!(caller.is_in("system:masters") && caller.is_in("system:authenticated"));
    let create = Ask::new(Method::POST, CONFIG_MAPS).body(&config_map("a")).0;
    assert_eq!(call(&bed, Some(&admin), create).await.code, 201);
    let node = certificate(&bed, "system:node:n1", &["system:nodes"]);
    assert_eq!(call(&bed, Some(&node), get(CONFIG_MAPS)).await.code, 200);
    let garbage = CertificateDer::from(vec![1, 2, 3]);
    call(&bed, Some(&garbage), get(CONFIG_MAPS)).await.failed(401, "Unauthorized");
}

#[tokio::test]
async fn somebody_without_rights_is_told_which_one_is_missing() {
    let bed = Bed::start().await;
    let jane = certificate(&bed, "jane", &[]);
    let refused = async |call_of: Call| call(&bed, Some(&jane), call_of).await.failed(403, "Forbidden");
    assert_eq!(
        refused(get(CONFIG_MAPS)).await,
        "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \
         \"default\""
    );
    assert_eq!(
        refused(get("/apis/apps/v1/deployments?watch=1")).await,
        "deployments.apps is forbidden: User \"jane\" cannot watch resource \"deployments\" in API group \"apps\" at \
         the cluster scope"
    );
    assert_eq!(
        refused(get("/api/v1/namespaces/default/pods/web/log")).await,
        "pods \"web\" is forbidden: User \"jane\" cannot get resource \"pods/log\" in API group \"\" in the namespace \
         \"default\""
    );
    let delete = Ask::new(Method::DELETE, "/api/v1/nodes").0;
    assert!(refused(delete).await.contains("cannot deletecollection resource \"nodes\""));
    // Names are open to everybody with one.
    assert_eq!(call(&bed, Some(&jane), get("/apis")).await.code, 200);
}

#[tokio::test]
async fn the_body_of_somebody_without_rights_is_never_read() {
    let bed = Bed::start().await;
    let jane = certificate(&bed, "jane", &[]);
    for (certificate, code) in [(None, 401), (Some(&jane), 403)] {
        let create = Ask::new(Method::POST, CONFIG_MAPS).0;
        // A body that never comes.
        let answer = Answer::of(bed.api.answer(certificate, create, pending()).await);
        assert_eq!(answer.code, code, "{}", answer.text);
    }
}

#[tokio::test]
async fn kubectl_as_somebody_acts_as_that_somebody() {
    let bed = Bed::start().await;
    let admin = certificate(&bed, "admin", &["system:masters"]);
    let as_user = |user| {
        let ask = Ask::new(Method::GET, CONFIG_MAPS);
        ask.header(header::HeaderName::from_static("impersonate-user"), user).0
    };
    let refused = call(&bed, Some(&admin), as_user("nobody")).await.failed(403, "Forbidden");
    assert!(refused.contains("User \"nobody\" cannot list resource \"configmaps\""), "{refused}");
    let node = certificate(&bed, "system:node:n1", &["system:nodes"]);
    let refused = call(&bed, Some(&node), as_user("admin")).await.failed(403, "Forbidden");
    assert!(refused.contains("cannot impersonate resource \"users\""), "{refused}");
}
