use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use super::*;
use crate::tokens::{SigningKey, Subjects, Wish};

const API: &str = "https://kubernetes.default.svc.cluster.local";
const NOW: i64 = 1_700_000_000;

/// Objects by plural and key. What only the store has is not in the cache.
#[derive(Default)]
struct Cluster {
    objects: BTreeMap<String, Value>,
    only_in_store: bool,
    is_down: AtomicBool,
}

impl Cluster {
    /// The account `shop/robot` with the pod `web` on `n1`, and a secret.
    fn usual() -> Self {
        let mut cluster = Self::default();
        for (key, uid) in [
            ("serviceaccounts/shop/robot", "a1"),
            ("pods/shop/web", "p1"),
            ("secrets/shop/key", "s1"),
            ("nodes/n1", "n1"),
        ] {
            cluster.put(key, json!({ "metadata": { "uid": uid } }));
        }
        cluster
    }

    fn put(&mut self, key: &str, object: Value) {
        self.objects.insert(key.to_owned(), object);
    }

    fn object(&self, kind: &Kind, key: &Key) -> Option<Object> {
        let value = self.objects.get(&format!("{}/{key}", kind.plural))?;
        Some(Object::from_bytes("/key".into(), 1, &Bytes::from(value.to_string())).unwrap())
    }
}

#[async_trait]
impl Lookup for Cluster {
    async fn known(&self, kind: &'static Kind, key: &Key) -> Option<Object> {
        self.object(kind, key).filter(|_| !self.only_in_store)
    }

    async fn newest(&self, kind: &'static Kind, key: &Key) -> Result<Option<Object>, Status> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(Status::unavailable("away")),
            false => Ok(self.object(kind, key)),
        }
    }

    async fn all(&self, _kind: &'static Kind, _namespace: &str) -> Result<Vec<Object>, Status> {
        unreachable!("tokens name what they are bound to")
    }

    async fn replace(&self, _kind: &'static Kind, _old: &Object, _value: Value) -> Result<bool, Status> {
        unreachable!("tokens change nothing")
    }
}

fn others() -> Tokens {
    tokens()
}

fn tokens() -> Tokens {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    Tokens::new(SigningKey::new(&key).unwrap(), vec![API.to_owned(), "old".to_owned()], vec![API.to_owned()])
}

fn reference(name: &str, uid: &str) -> Reference {
    Reference { name: name.to_owned(), uid: uid.to_owned() }
}

fn robot() -> Subjects {
    Subjects { namespace: "shop".to_owned(), account: reference("robot", "a1"), ..Subjects::default() }
}

fn of_pod() -> Subjects {
    Subjects { pod: Some(reference("web", "p1")), node: Some(reference("n1", "n1")), ..robot() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn issue(tokens: &Tokens, subjects: Subjects) -> String {
    tokens.issue(&Wish { subjects, audiences: vec![API.to_owned(), "vault".to_owned()], seconds: 600 }, at(0)).unwrap()
}

async fn check(
    tokens: &Tokens,
    cluster: &Cluster,
    token: &str,
    audience: &str,
    seconds: i64,
) -> Result<Holder, String> {
    tokens.authenticate_at(cluster, token, &[audience], at(seconds)).await.map_err(|why| why.to_string())
}

#[tokio::test]
async fn a_token_says_who_calls_and_from_where() {
    let tokens = tokens();
    let token = issue(&tokens, of_pod());
    for only_in_store in [false, true] {
        let cluster = Cluster { only_in_store, ..Cluster::usual() };
        let holder = check(&tokens, &cluster, &token, API, 1).await.unwrap();
        assert_eq!(holder.audiences, [API]);
        let caller = holder.caller;
        assert_eq!((caller.name(), caller.uid()), ("system:serviceaccount:shop:robot", "a1"));
        assert_eq!(
            caller.groups(),
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"].map(str::to_owned)
        );
        let extra: Vec<_> = caller.extra().keys().map(|key| key.trim_start_matches(EXTRA)).collect();
        assert_eq!(extra, ["credential-id", "node-name", "node-uid", "pod-name", "pod-uid"]);
        assert!(caller.extra()[&format!("{EXTRA}credential-id")][0].starts_with("JTI="));
        assert_eq!(caller.extra()[&format!("{EXTRA}pod-uid")], ["p1"]);
    }
}

#[tokio::test]
async fn a_token_holds_for_its_time_and_its_audiences() {
    let (tokens, cluster) = (tokens(), Cluster::usual());
    let token = issue(&tokens, robot());
    let check = async |audience, seconds| check(&tokens, &cluster, &token, audience, seconds).await;
    assert!(check(API, 660).await.is_ok(), "clocks may differ by a minute");
    assert_eq!(check(API, 661).await.unwrap_err(), "service account token has expired");
    assert!(check(API, -60).await.is_ok());
    assert_eq!(check(API, -61).await.unwrap_err(), "service account token is not valid yet");
    assert_eq!(check("vault", 0).await.unwrap().audiences, ["vault"]);
    let refused = check("elsewhere", 0).await.unwrap_err();
    assert!(refused.ends_with("is invalid for the target audiences [\"elsewhere\"]"), "{refused}");
}

#[tokio::test]
async fn what_somebody_else_signed_is_none() {
    let (tokens, others, cluster) = (tokens(), others(), Cluster::usual());
    let token = issue(&others, robot());
    assert_eq!(check(&tokens, &cluster, &token, API, 0).await.unwrap_err(), "invalid bearer token");
    assert_eq!(check(&tokens, &cluster, "made-up", API, 0).await.unwrap_err(), "invalid bearer token");
    let mut claims = json!(tokens.claims(&Wish { subjects: robot(), audiences: vec![API.into()], seconds: 9 }, at(0)));
    let signed = |claims: &Value| tokens.key.sign(claims).unwrap();
    assert!(check(&tokens, &cluster, &signed(&claims), API, 0).await.is_ok());
    claims["iss"] = "old".into();
    assert!(check(&tokens, &cluster, &signed(&claims), API, 0).await.is_ok(), "issued under a former name");
    for (claim, value) in [("iss", "https://elsewhere"), ("sub", "system:serviceaccount:kube-system:robot")] {
        let mut other = claims.clone();
        other[claim] = value.into();
        assert_eq!(check(&tokens, &cluster, &signed(&other), API, 0).await.unwrap_err(), "invalid bearer token");
    }
}

#[tokio::test]
async fn a_token_ends_with_its_account() {
    let tokens = tokens();
    let token = issue(&tokens, robot());
    let mut cluster = Cluster::usual();
    cluster.put("serviceaccounts/shop/robot", json!({ "metadata": { "uid": "a2" } }));
    let refused = check(&tokens, &cluster, &token, API, 0).await.unwrap_err();
    assert_eq!(refused, "service account UID (a2) does not match claim (a1)");
    cluster.objects.clear();
    assert_eq!(check(&tokens, &cluster, &token, API, 0).await.unwrap_err(), "serviceaccounts \"robot\" not found");
    cluster.is_down.store(true, Ordering::Relaxed);
    let unknown = tokens.authenticate_at(&cluster, &token, &[API], at(0)).await.unwrap_err();
    assert!(matches!(unknown, Refusal::Unknown(status) if status.code == 503));
}

#[tokio::test]
async fn a_token_ends_with_what_it_is_bound_to() {
    let tokens = tokens();
    let to_secret = Subjects { secret: Some(reference("key", "s1")), ..robot() };
    let to_node = Subjects { node: Some(reference("n1", "n1")), ..robot() };
    for (subjects, key, namespaced) in
        [(of_pod(), "pods/shop/web", true), (to_secret, "secrets/shop/key", true), (to_node, "nodes/n1", false)]
    {
        let token = issue(&tokens, subjects);
        let mut cluster = Cluster::usual();
        assert!(check(&tokens, &cluster, &token, API, 0).await.is_ok(), "{key} {namespaced}");
        let uid = cluster.objects[key]["metadata"]["uid"].clone();
        let leaving =
            |seconds: i64| json!({ "metadata": { "uid": uid, "deletionTimestamp": at(seconds).to_string() } });
        cluster.put(key, leaving(-59));
        assert!(check(&tokens, &cluster, &token, API, 0).await.is_ok(), "{key} may still end in order");
        cluster.put(key, leaving(-61));
        assert_eq!(check(&tokens, &cluster, &token, API, 0).await.unwrap_err(), Refusal::Invalidated.to_string());
        cluster.put(key, json!({ "metadata": { "uid": "another" } }));
        assert_eq!(check(&tokens, &cluster, &token, API, 0).await.unwrap_err(), Refusal::Invalidated.to_string());
        cluster.objects.remove(key);
        assert_eq!(check(&tokens, &cluster, &token, API, 0).await.unwrap_err(), Refusal::Invalidated.to_string());
    }
    // A pod outlives the entry of its node.
    let token = issue(&tokens, of_pod());
    let mut cluster = Cluster::usual();
    cluster.objects.remove("nodes/n1");
    assert!(check(&tokens, &cluster, &token, API, 0).await.is_ok());
}
