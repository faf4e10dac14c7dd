//! A watch that outlives its connections.
//!
//! In: etcd's watch, which ends with the connection. Out: changes without a gap and without
//! duplicates: a new watch goes on after the last revision that was delivered whole. Ends only
//! when that has been compacted.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use etcd_client::{Client, Error, Event, EventType, WatchOptions, WatchResponse, WatchStream};
use futures::{StreamExt, stream};
use tracing::{info, warn};

use super::{
    TIMEOUT, connect, end_of,
    fault::Fault,
    members::{Members, Repeat},
    newest, readable, signed, unsigned,
};
use crate::store::{Change, Changes, StoreError};

/// Time between two attempts: the first one, doubled up to the last one.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Starts a watch; the first connection must succeed.
pub(super) async fn open(members: &Arc<Members>, prefix: &str, after: u64) -> Result<Changes, StoreError> {
    let mut watch = Watch {
        members: members.clone(),
        member: 0,
        prefix: prefix.to_owned(),
        after,
        stream: None,
        changes: VecDeque::new(),
        pause: RETRY.0,
        ended: false,
    };
    watch.stream = Some(watch.connect().await.map_err(super::unavailable)?);
    Ok(stream::unfold(watch, Watch::next).boxed())
}

/// The oldest revision that can be watched, which only a watch from before tells.
pub(super) async fn oldest(members: &Members) -> Result<u64, StoreError> {
    let key = members.no_key();
    let ask = |client: Client| ask_oldest(client, key.clone());
    members.call(TIMEOUT, Repeat::Any, ask).await.map_err(super::unavailable)
}

async fn ask_oldest(client: Client, key: String) -> Result<u64, Error> {
    let options = WatchOptions::new().with_start_revision(1);
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    while let Some(response) = stream.message().await? {
        if response.compact_revision() > 0 {
            return Ok(unsigned(response.compact_revision()));
        }
    }
    Err(Error::WatchError("nothing has been compacted".to_owned()))
}

struct Watch {
    members: Arc<Members>,
    /// The member that the stream comes from.
    member: usize,
    prefix: String,
    /// Everything up to this revision has been delivered or is in `changes`.
    after: u64,
    stream: Option<WatchStream>,
    changes: VecDeque<Change>,
    pause: Duration,
    ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Change, StoreError>, Self)> {
        while !self.ended {
            if let Some(change) = self.changes.pop_front() {
                return Some((Ok(change), self));
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                return Some((Err(error), self));
            }
        }
        None
    }

    /// Takes in one message, or connects again.
    async fn advance(&mut self) -> Result<(), StoreError> {
        let fault = match self.stream.take() {
            Some(mut stream) => match stream.message().await {
                Ok(Some(response)) if response.compact_revision() > 0 => {
                    return Err(StoreError::Compacted { oldest: unsigned(response.compact_revision()) });
                }
                Ok(Some(response)) if response.canceled() => {
                    Fault::Broken(anyhow::anyhow!("{}", response.cancel_reason()))
                }
                Ok(Some(response)) => {
                    self.take_in(&response);
                    self.stream = Some(stream);
                    return Ok(());
                }
                Ok(None) => Fault::Broken(anyhow::anyhow!("the connection was closed")),
                Err(error) => Fault::from(error),
            },
            None => return self.reconnect().await,
        };
        warn!(after = self.after, %fault, "the watch of etcd broke");
        self.members.leave(self.member, &fault);
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), StoreError> {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY.1);
        match self.connect().await {
            Ok(stream) => {
                info!(after = self.after, "watching etcd again");
                self.stream = Some(stream);
            }
            Err(fault) => warn!(after = self.after, %fault, "watching etcd failed"),
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<WatchStream, Fault> {
        // A watch with an old token is not refused but ended; a read gets a new one.
        newest(&self.members).await?;
        // From the last revision seen, not the next one: etcd refuses only what is before the
        // compacted revision, but has removed a deletion at it. What is known is dropped below.
        let options = WatchOptions::new()
            .with_range(end_of(&self.prefix))
            .with_start_revision(signed(self.after.max(1)))
            .with_prev_key();
        let watch = |client: Client| {
            let (prefix, options) = (self.prefix.clone(), options.clone());
            let mut client = client.watch_client().max_decoding_message_size(connect::MAX_MESSAGE);
            async move { client.watch(prefix, Some(options)).await }
        };
        let stream = self.members.call(TIMEOUT, Repeat::Any, watch).await?;
        self.member = self.members.current();
        Ok(stream)
    }

    /// A response holds all changes of each revision in it.
    fn take_in(&mut self, response: &WatchResponse) {
        let after = self.after;
        let changes = response.events().iter().filter_map(change);
        self.changes.extend(changes.filter(|change| change.revision > after));
        if let Some(last) = self.changes.back() {
            self.after = last.revision;
            self.pause = RETRY.0;
        }
    }
}

fn change(event: &Event) -> Option<Change> {
    let kv = event.kv()?;
    let value = match event.event_type() {
        EventType::Put => Some(kv.value().to_vec().into()),
        EventType::Delete => None,
    };
    let previous = event.prev_kv().map(|previous| previous.value().to_vec().into());
    Some(Change { key: readable(kv.key().to_vec())?, revision: unsigned(kv.mod_revision()), value, previous })
}
