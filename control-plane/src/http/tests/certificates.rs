//! Certificates: asked for, approved or denied, answered.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, header};
use nodeplane_api::protobuf;
use serde_json::{Value, json};

use super::{
    bed::{Answer, Ask, Bed, MERGE_PATCH, TABLE, text},
    kinds::signing_request,
};
use crate::http::authn::Caller;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

fn request(groups: &[&str], signer: &str) -> Value {
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": "csr-A_1" },
        "spec": {
            "request": signing_request("jane", groups), "usages": ["client auth"], "signerName": signer,
            "username": "somebody-else", "groups": ["system:masters"], "uid": "1", "extra": { "a": ["b"] },
            "expirationSeconds": 7200,
        },
    })
}

fn decision(name: &str) -> Value {
    json!([{ "type": name, "status": "True", "reason": "KubectlApprove", "message": "by hand" }])
}

#[tokio::test]
async fn a_request_says_who_made_it_and_stays_as_it_was_made() {
    let bed = Bed::start().await;
    let maker = Caller::named("maker", vec!["dev".into(), "system:masters".into()]).with_extra("k", vec!["v".into()]);
    let ask = Ask::new(Method::POST, REQUESTS).body(&request(&["dev"], CLIENT));
    let created = Answer::of(bed.reply(maker, ask).await).created();
    let spec = &created["spec"];
    assert_eq!((&spec["username"], &spec["groups"]), (&json!("maker"), &json!(["dev", "system:masters"])));
    assert_eq!((spec.get("uid"), &spec["extra"]), (None, &json!({ "k": ["v"] })));
    assert_eq!(created["status"], json!({}));
    let one = format!("{REQUESTS}/csr-A_1");
    let patch =
        json!({ "spec": { "username": "other", "usages": ["server auth"] }, "metadata": { "labels": { "a": "b" } } });
    let patched = bed.patch(&one, MERGE_PATCH, patch).await.ok();
    assert_eq!((&patched["spec"], text(&patched, "/metadata/labels/a")), (spec, "b"));
    let chosen = async |signer: &str| {
        let list = bed.get(&format!("{REQUESTS}?fieldSelector=spec.signerName%3D{signer}")).await.ok();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((chosen("kubernetes.io%2Fkube-apiserver-client").await, chosen("x.y%2Fz").await), (1, 0));
    let table = bed.send(Ask::new(Method::GET, REQUESTS).header(header::ACCEPT, TABLE)).await.ok();
    let cells = &table["rows"][0]["cells"];
    let shown = [cells[0].clone(), cells[2].clone(), cells[3].clone(), cells[4].clone(), cells[5].clone()];
    assert_eq!(shown, ["csr-A_1", CLIENT, "maker", "120m", "Pending"].map(Value::from));
}

#[tokio::test]
async fn kubectl_approves_with_a_put_in_protobuf() {
    let bed = Bed::start().await;
    let mut asked = bed.post(REQUESTS, request(&["dev"], CLIENT)).await.created();
    asked["status"]["conditions"] = decision("Approved");
    let path = format!("{REQUESTS}/csr-A_1/approval");
    let put = Ask::new(Method::PUT, &path).raw_body(protobuf::encode(&asked).unwrap());
    let approved = bed.send(put.header(header::CONTENT_TYPE, "application/vnd.kubernetes.protobuf")).await.ok();
    let condition = &approved["status"]["conditions"][0];
    assert_eq!((text(condition, "/type"), text(condition, "/message")), ("Approved", "by hand"));
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string());
    let mut denied = approved.clone();
    denied["status"]["conditions"] = decision("Denied");
    let refused = bed.put(&path, denied).await.failed(422, "Invalid");
    assert!(refused.contains("updates may not remove a condition of type \"Approved\""), "{refused}");

    // Who answers keeps the decision, and answers once.
    let certificate = STANDARD.encode(bed.pki.ca_pem());
    let status = format!("{REQUESTS}/csr-A_1/status");
    let answer = json!({ "status": { "certificate": certificate } });
    let answered = bed.patch(&status, MERGE_PATCH, answer).await.ok();
    assert_eq!(
        (&answered["status"]["conditions"][0], text(&answered, "/status/certificate")),
        (condition, &*certificate)
    );
    let other = STANDARD.encode(format!("{0}{0}", bed.pki.ca_pem()));
    let again = bed.patch(&status, MERGE_PATCH, json!({ "status": { "certificate": other } })).await;
    let words = "status.certificate: Forbidden: updates may not modify existing certificate content";
    assert!(again.failed(422, "Invalid").contains(words));
}

#[tokio::test]
async fn nobody_asks_for_the_certificate_of_an_administrator() {
    let bed = Bed::start().await;
    let refused = bed.post(REQUESTS, request(&["system:masters"], CLIENT)).await.failed(403, "Forbidden");
    assert_eq!(
        refused,
        "certificatesigningrequests.certificates.k8s.io \"csr-A_1\" is forbidden: use of \
         kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    );
    bed.post(REQUESTS, request(&["system:masters"], "example.com/other")).await.created();
}
