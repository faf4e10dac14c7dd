//! Caches that end.

use std::time::Duration;

use nodeplane_client::fake::Fake;
use serde_json::json;
use tokio::time::timeout;

use super::Sources;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_cache_that_is_followed_no_more_is_told() {
    let server = Fake::default();
    let sources = Sources::watch(&server.client(), "n");
    timeout(PATIENCE, sources.ready()).await.expect("complete caches");
    assert!(timeout(Duration::ZERO, sources.ended()).await.is_err(), "ended without a reason");
    sources.pods.on_change(|_| panic!("planned"));
    server.put("/api/v1/namespaces/default/pods/p", json!({ "metadata": {}, "spec": { "nodeName": "n" } }));
    timeout(PATIENCE, sources.ended()).await.expect("told");
}
