//! How long tokens are kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::TokenCache;
use crate::pods::{api::fake::FakeApi, fixtures};

#[tokio::test]
async fn a_token_is_kept_for_four_fifths_of_its_time() {
    let api = FakeApi::default();
    let sources = json!([{ "serviceAccountToken": { "path": "token", "expirationSeconds": 1000 } }]);
    let pod = fixtures::pod(json!({
        "serviceAccountName": "robot",
        "volumes": [{ "name": "v", "projected": { "sources": sources } }],
    }));
    let cache = TokenCache::default();
    let begin = Timestamp::from_second(1_700_000_000).expect("a time");
    for (seconds, expected) in [(0, "token 1 of robot"), (799, "token 1 of robot"), (800, "token 2 of robot")] {
        let tokens = cache.of(&api, &pod, begin + SignedDuration::from_secs(seconds)).await.expect("tokens");
        assert_eq!(tokens[&("v".to_owned(), "token".to_owned())], expected, "after {seconds} s");
    }
    assert_eq!(cache.renewal(), Some(begin + SignedDuration::from_secs(1600)));
}

#[tokio::test]
async fn a_pod_without_tokens_asks_for_none() {
    let api = FakeApi::default();
    let cache = TokenCache::default();
    let tokens = cache.of(&api, &fixtures::pod(json!({})), Timestamp::UNIX_EPOCH).await.expect("tokens");
    assert!(tokens.is_empty() && cache.renewal().is_none() && api.state().tokens == 0);
}
