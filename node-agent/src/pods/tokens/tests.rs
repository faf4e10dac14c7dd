//! How long tokens are kept.

use jiff::Timestamp;
use serde_json::json;

use super::TokenCache;
use crate::pods::{
    api::{ApiError, fake::FakeApi},
    fixtures,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

/// The token of a pod that wants one for 1000 s.
async fn token(cache: &TokenCache, api: &FakeApi, seconds: i64) -> Result<String, ApiError> {
    let sources = json!([{ "serviceAccountToken": { "path": "token", "expirationSeconds": 1000 } }]);
    let pod = fixtures::pod(json!({
        "serviceAccountName": "robot",
        "volumes": [{ "name": "v", "projected": { "sources": sources } }],
    }));
    let tokens = cache.of(api, &pod, at(seconds)).await?;
    Ok(tokens[&("v".to_owned(), "token".to_owned())].clone())
}

#[tokio::test]
async fn a_token_is_kept_for_four_fifths_of_its_time() {
    let (api, cache) = (FakeApi::default(), TokenCache::default());
    for (seconds, expected) in [(0, "token 1 of robot"), (799, "token 1 of robot"), (800, "token 2 of robot")] {
        assert_eq!(token(&cache, &api, seconds).await.expect("a token"), expected, "after {seconds} s");
    }
    assert_eq!(cache.renewal(), Some(at(1600)));
}

#[tokio::test]
async fn the_time_that_counts_is_the_one_that_was_granted() {
    let (api, cache) = (FakeApi::default(), TokenCache::default());
    api.state().expires = Some(at(5000));
    token(&cache, &api, 0).await.expect("a token");
    assert_eq!(cache.renewal(), Some(at(4000)));
}

#[tokio::test]
async fn a_token_that_has_expired_by_this_clock_is_not_asked_for_without_a_pause() {
    let (api, cache) = (FakeApi::default(), TokenCache::default());
    api.state().expires = Some(at(-100));
    for seconds in 0..60 {
        token(&cache, &api, seconds).await.expect("a token");
    }
    assert_eq!((api.state().tokens, cache.renewal()), (1, Some(at(60))));
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_shown_for_as_long_as_it_holds() {
    let (api, cache) = (FakeApi::default(), TokenCache::default());
    token(&cache, &api, 0).await.expect("a token");
    api.state().refusals = u32::MAX;
    assert_eq!(token(&cache, &api, 800).await.expect("the old token"), "token 1 of robot");
    assert_eq!(cache.renewal(), Some(at(860)), "asked for again after a pause");
    let error = token(&cache, &api, 1000).await.expect_err("it has expired");
    let expected = "MountVolume.SetUp failed for volume \"v\" : failed to fetch token: etcdserver: request timed out";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_pod_without_tokens_asks_for_none() {
    let api = FakeApi::default();
    let cache = TokenCache::default();
    let tokens = cache.of(&api, &fixtures::pod(json!({})), Timestamp::UNIX_EPOCH).await.expect("tokens");
    assert!(tokens.is_empty() && cache.renewal().is_none() && api.state().tokens == 0);
}
