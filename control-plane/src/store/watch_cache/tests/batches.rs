use futures::stream;

use super::super::feed::{BATCH, next_batch};
use super::*;
use crate::store::{Change, Changes};

fn change(revision: u64) -> Result<Change, StoreError> {
    Ok(Change { key: "/r/objects/a".to_owned(), revision, value: None, previous: None })
}

/// How the changes at these revisions are taken in.
async fn batches(revisions: impl IntoIterator<Item = u64>) -> Vec<Vec<u64>> {
    let changes: Vec<_> = revisions.into_iter().map(change).collect();
    let changes: Changes = stream::iter(changes).boxed();
    let (mut changes, mut batches) = (changes.peekable(), Vec::new());
    while let Some(batch) = next_batch(&mut changes).await {
        batches.push(batch.into_iter().map(|change| change.unwrap().revision).collect());
    }
    batches
}

#[tokio::test]
async fn what_is_there_is_taken_in_together_and_a_revision_always() {
    let size = BATCH as u64;
    assert_eq!(batches(1..=3).await, [vec![1, 2, 3]]);
    let all = batches(1..=2 * size + 1).await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH, BATCH, 1]);
    // All keys of a lease go at once.
    let lease = batches((1..size).chain([size; 700]).chain([size + 1])).await;
    assert_eq!(lease.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH - 1 + 700, 1]);
    assert_eq!(lease[1], [size + 1]);
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_waited_for() {
    let first: Changes = stream::iter([change(1)]).chain(stream::pending()).boxed();
    assert_eq!(next_batch(&mut first.peekable()).await.unwrap().len(), 1);
}
