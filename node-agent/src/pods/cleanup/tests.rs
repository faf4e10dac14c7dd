//! Nothing is left.

use serde_json::json;

use super::cleanup;
use crate::pods::{bed::Bed, paths::Paths, runtime::RuntimeError};

#[tokio::test]
async fn an_agent_that_goes_for_good_leaves_nothing() {
    let mut bed = Bed::started().await;
    for name in ["a", "b", "c"] {
        bed.put(name, json!({ "volumes": [{ "name": "v", "emptyDir": { "medium": "Memory" } }] }));
        bed.ready(name).await;
    }
    bed.stop_agent().await;
    let paths = Paths::new(bed.node.path());
    let (runtime, network) = (bed.node.runtime.clone(), bed.node.network.clone());
    runtime.fail("remove app", RuntimeError::Refused("busy".to_owned()));
    let problems = cleanup(&runtime, &paths, &network).await.expect_err("something is left").problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with(": busy"), "{problems:?}");
    cleanup(&runtime, &paths, &network).await.expect("nothing is left");
    assert_eq!(bed.left(), (0, 0));
    let state = network.state();
    assert!(state.connected.is_empty() && state.addresses.is_empty() && !paths.root().exists());
}
