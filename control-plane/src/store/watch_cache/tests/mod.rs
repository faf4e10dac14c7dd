//! The state by itself with the time in hand; the whole cache over a store whose watch breaks.

mod batches;
mod flaky;
mod state;
mod whole;

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use serde_json::json;

use super::*;

/// An object as the store would give it.
fn object(key: &str, revision: u64) -> Object {
    let name = key.rsplit('/').next().unwrap();
    let value = json!({"metadata": {"name": name}});
    Object::from_bytes(key.into(), revision, value.to_string().as_bytes()).unwrap()
}

/// Keys and revisions of a list.
fn brief(list: &List) -> Vec<(&str, u64)> {
    list.objects.iter().map(|object| (object.key(), object.revision())).collect()
}

/// What has been queued so far, and whether that is the end.
fn drain(subscription: &mut Subscription) -> (Vec<u64>, bool) {
    let mut revisions = Vec::new();
    loop {
        match subscription.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(event)) => revisions.push(event.revision),
            Poll::Ready(None) => return (revisions, true),
            Poll::Pending => return (revisions, false),
        }
    }
}
