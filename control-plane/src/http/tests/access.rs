//! Who may come in, and what they are told when they may not.

use std::future::{pending, ready};

use http::{HeaderValue, Method, header};
use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, MERGE_PATCH, PODS, config_map, pod};
use crate::http::{authn::Caller, call::Call};

fn certificate(bed: &Bed, user: &str, groups: &[&str]) -> CertificateDer<'static> {
    bed.certificate(user, groups)
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
async fn a_header_that_holds_no_token_is_nobodys() {
    let bed = Bed::start().await;
    for (path, code) in [("/healthz", 200), (CONFIG_MAPS, 401)] {
        let mut basic = get(path);
        basic.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(call(&bed, None, basic).await.code, code, "{path}");
    }
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
    assert_eq!(call(&bed, Some(&node), get("/api/v1/services")).await.code, 200);
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

#[tokio::test]
async fn an_agent_has_the_rights_of_its_own_pods() {
    let bed = Bed::start().await;
    let agent = certificate(&bed, "system:node:n1", &["system:nodes"]);
    let ask = async |call_of: Call| call(&bed, Some(&agent), call_of).await;
    for name in ["own", "foreign"] {
        bed.post(CONFIG_MAPS, config_map(name)).await.created();
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = if name == "own" { "n1" } else { "n2" }.into();
        pod["spec"]["volumes"] = json!([{ "name": "v", "configMap": { "name": name } }]);
        bed.post(PODS, pod).await.created();
    }
    let path = |plural: &str, name: &str| format!("/api/v1/namespaces/default/{plural}/{name}");
    assert_eq!(ask(get(&path("configmaps", "own"))).await.code, 200);
    assert_eq!(
        ask(get(&path("configmaps", "foreign"))).await.failed(403, "Forbidden"),
        "configmaps \"foreign\" is forbidden: User \"system:node:n1\" cannot get resource \"configmaps\" in API group \"\" \
         in the namespace \"default\": no relationship found between node 'n1' and this object"
    );
    assert_eq!(ask(get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).await.code, 200);
    assert_eq!(
        ask(get("/api/v1/pods")).await.failed(403, "Forbidden"),
        "pods is forbidden: User \"system:node:n1\" cannot list resource \"pods\" in API group \"\" at the cluster scope: \
         can only list/watch pods with spec.nodeName field selector"
    );
    let tell = |name: &str| {
        let status = json!({ "status": { "phase": "Running" } });
        let asked = Ask::new(Method::PATCH, &path("pods", &format!("{name}/status"))).body(&status);
        asked.header(header::CONTENT_TYPE, MERGE_PATCH).0
    };
    assert_eq!(ask(tell("own")).await.code, 200);
    assert_eq!(
        ask(tell("foreign")).await.failed(403, "Forbidden"),
        "pods \"foreign\" is forbidden: node \"n1\" can only update pod status for pods with spec.nodeName set to itself"
    );
    let remove = |name: &str| Ask::new(Method::DELETE, &format!("{}?gracePeriodSeconds=0", path("pods", name))).0;
    assert_eq!(
        ask(remove("foreign")).await.failed(403, "Forbidden"),
        "pods \"foreign\" is forbidden: node \"n1\" can only delete pods with spec.nodeName set to itself"
    );
    assert_eq!(ask(remove("own")).await.code, 200);
}
