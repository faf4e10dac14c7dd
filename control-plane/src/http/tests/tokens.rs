//! Tokens of service accounts: asked for, shown, reviewed and taken back.

use std::future::ready;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, ISSUER, PODS, pod, text};
use crate::http::call::Call;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/robot/token";

async fn bed() -> Bed {
    let bed = Bed::start().await;
    bed.post(ACCOUNTS, json!({ "metadata": { "name": "robot" } })).await.created();
    bed
}

fn request(spec: &Value) -> Value {
    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec })
}

async fn token(bed: &Bed, spec: Value) -> String {
    text(&bed.post(TOKEN, request(&spec)).await.created(), "/status/token").to_owned()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A call over the network, with a token and without a certificate.
async fn show(bed: &Bed, token: &str, ask: Ask) -> Answer {
    let mut call: Call = ask.0;
    let body = std::mem::take(&mut call.body);
    call.headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    Answer::of(bed.api.answer(None, call, ready(Ok(body))).await)
}

fn who() -> Ask {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    Ask::new(Method::POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews").body(&review)
}

#[tokio::test]
async fn an_account_gets_a_token_and_calls_with_it() {
    let bed = bed().await;
    let answer = bed.post(TOKEN, request(&json!({}))).await.created();
    assert_eq!((text(&answer, "/kind"), text(&answer, "/metadata/name")), ("TokenRequest", "robot"));
    assert_eq!(answer["spec"], json!({ "audiences": [ISSUER], "expirationSeconds": 3600 }));
    let token = text(&answer, "/status/token");
    let said = claims(token);
    assert_eq!((&said["iss"], &said["aud"]), (&json!(ISSUER), &json!([ISSUER])));
    assert_eq!(said["sub"], "system:serviceaccount:default:robot");
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3600);
    let expires: jiff::Timestamp = text(&answer, "/status/expirationTimestamp").parse().unwrap();
    assert_eq!(expires.as_second(), said["exp"].as_i64().unwrap());
    let account = bed.get(&format!("{ACCOUNTS}/robot")).await.ok();
    let uid = &account["metadata"]["uid"];
    assert_eq!(
        said["kubernetes.io"],
        json!({ "namespace": "default", "serviceaccount": { "name": "robot", "uid": uid } })
    );

    let user = show(&bed, token, who()).await.created()["status"]["userInfo"].take();
    assert_eq!((&user["username"], &user["uid"]), (&said["sub"], uid));
    assert_eq!(
        user["extra"]["authentication.kubernetes.io/credential-id"],
        json!([format!("JTI={}", text(&said, "/jti"))])
    );
    // It may look at the API, and nothing else.
    assert_eq!(show(&bed, token, Ask::new(Method::GET, "/apis")).await.code, 200);
    let refused = show(&bed, token, Ask::new(Method::GET, CONFIG_MAPS)).await.failed(403, "Forbidden");
    assert!(refused.contains("User \"system:serviceaccount:default:robot\" cannot list resource"), "{refused}");
}

#[tokio::test]
async fn a_token_is_bound_to_a_pod_and_ends_with_it() {
    let bed = bed().await;
    let mut own = pod("web");
    own["spec"]["serviceAccountName"] = "robot".into();
    own["spec"]["nodeName"] = "n1".into();
    let node = bed.post("/api/v1/nodes", json!({ "metadata": { "name": "n1" } })).await.created();
    let own = bed.post(PODS, own).await.created();
    bed.post(PODS, pod("other")).await.created();
    let (uid, node) = (&own["metadata"]["uid"], &node["metadata"]["uid"]);
    let to = |kind: &str, name: &str, uid: &Value| json!({ "boundObjectRef": { "apiVersion": "v1", "kind": kind, "name": name, "uid": uid } });
    let token = token(&bed, to("Pod", "web", uid)).await;
    let said = &claims(&token)["kubernetes.io"];
    assert_eq!((&said["pod"]["uid"], &said["node"]), (uid, &json!({ "name": "n1", "uid": node })));
    let extra = show(&bed, &token, who()).await.created()["status"]["userInfo"]["extra"].take();
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["web"]));
    assert_eq!(extra["authentication.kubernetes.io/node-uid"], json!([node]));

    let refused = async |spec| bed.post(TOKEN, request(&spec)).await;
    let other = refused(to("Pod", "web", &json!("u2"))).await.failed(409, "Conflict");
    assert_eq!(
        other,
        "Operation cannot be fulfilled on Pod \"web\": the UID in the bound object reference (u2) does not match the UID \
         in record. The object might have been deleted and then recreated"
    );
    assert_eq!(
        refused(to("Pod", "other", &Value::Null)).await.failed(400, "BadRequest"),
        "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name."
    );
    assert_eq!(refused(to("Pod", "gone", &Value::Null)).await.failed(404, "NotFound"), "pods \"gone\" not found");
    assert_eq!(
        refused(to("ConfigMap", "a", &Value::Null)).await.failed(400, "BadRequest"),
        "cannot bind token to object of type v1, Kind=ConfigMap"
    );

    bed.delete(&format!("{PODS}/web?gracePeriodSeconds=0")).await.ok();
    // The cache may know the pod for a moment longer.
    let mut tries = 0;
    while show(&bed, &token, who()).await.code == 201 {
        tries += 1;
        assert!(tries < 2000, "the token still holds");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    show(&bed, &token, who()).await.failed(401, "Unauthorized");
}

#[tokio::test]
async fn a_token_ends_with_its_secret_its_node_and_its_account() {
    let bed = bed().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    bed.post(secrets, json!({ "metadata": { "name": "s" } })).await.created();
    bed.post("/api/v1/nodes", json!({ "metadata": { "name": "n1" } })).await.created();
    for (kind, name, path) in [
        ("Secret", "s", format!("{secrets}/s")),
        ("Node", "n1", "/api/v1/nodes/n1".to_owned()),
        ("ServiceAccount", "", format!("{ACCOUNTS}/robot")),
    ] {
        let bound = json!({ "boundObjectRef": { "apiVersion": "v1", "kind": kind, "name": name } });
        let token = token(&bed, if name.is_empty() { json!({}) } else { bound }).await;
        show(&bed, &token, who()).await.created();
        bed.delete(&path).await.ok();
        let mut tries = 0;
        while show(&bed, &token, who()).await.code != 401 {
            tries += 1;
            assert!(tries < 2000, "{kind}: the token still holds");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn requests_that_ask_for_too_little_or_too_much_are_refused() {
    let bed = bed().await;
    for (seconds, why) in [
        (599_i64, "may not specify a duration less than 10 minutes"),
        ((1 << 32) + 1, "may not specify a duration larger than 2^32 seconds"),
    ] {
        let refused = bed.post(TOKEN, request(&json!({ "expirationSeconds": seconds }))).await.failed(422, "Invalid");
        let expected = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: ";
        assert_eq!(refused, format!("{expected}{seconds}: {why}"));
    }
    let mut named = request(&json!({}));
    named["metadata"] = json!({ "name": "else" });
    let refused = bed.post(TOKEN, named).await.failed(422, "Invalid");
    assert!(
        refused.contains("metadata.name: Invalid value: \"else\": must match the service account name if specified")
    );
    let path = format!("{ACCOUNTS}/nobody/token");
    let gone = bed.post(&path, request(&json!({}))).await.failed(404, "NotFound");
    assert_eq!(gone, "serviceaccounts \"nobody\" not found");
    let strict = bed.post(&format!("{TOKEN}?fieldValidation=Strict"), request(&json!({ "no": 1 }))).await;
    let words = "TokenRequest in version \"v1\" cannot be handled as a TokenRequest: strict decoding error: unknown field \
                 \"spec.no\"";
    assert_eq!(strict.failed(400, "BadRequest"), words);
}

#[tokio::test]
async fn somebody_asks_whose_token_it_is() {
    let bed = bed().await;
    let for_vault = token(&bed, json!({ "audiences": ["vault"] })).await;
    let review = async |spec: Value| {
        let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec });
        bed.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await
    };
    // Not for this API, but for whom it was made.
    show(&bed, &for_vault, who()).await.failed(401, "Unauthorized");
    let status = review(json!({ "token": for_vault })).await.created()["status"].take();
    assert!(text(&status, "/error").contains("is invalid for the target audiences"), "{status}");
    assert_eq!((status.get("authenticated"), &status["user"]), (None, &json!({})));
    let status = review(json!({ "token": for_vault, "audiences": ["vault", "bank"] })).await.created()["status"].take();
    assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:robot");
    let status = review(json!({ "token": "made-up" })).await.created()["status"].take();
    assert_eq!(status["error"], "invalid bearer token");
    let refused = review(json!({ "token": "" })).await.failed(400, "BadRequest");
    assert_eq!(refused, "token is required for TokenReview in authentication");
}

#[tokio::test]
async fn others_find_the_keys_to_check_tokens_with() {
    let bed = bed().await;
    let answer = bed.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.headers[header::CACHE_CONTROL], "public, max-age=3600");
    let found = answer.ok();
    assert_eq!((text(&found, "/issuer"), text(&found, "/jwks_uri")), (ISSUER, "https://127.0.0.1:6443/openid/v1/jwks"));
    assert_eq!(found["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let keys = Ask::new(Method::GET, "/openid/v1/jwks").header(header::ACCEPT, "application/jwk-set+json");
    let answer = bed.send(keys).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/jwk-set+json");
    let keys = answer.ok();
    let token = token(&bed, json!({})).await;
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);
}

#[tokio::test]
async fn servers_with_one_key_accept_each_others_tokens() {
    let mut bed = bed().await;
    let token = token(&bed, json!({})).await;
    bed.restart();
    show(&bed, &token, who()).await.created();
}
