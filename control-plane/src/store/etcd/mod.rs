//! The store of a cluster with several servers: etcd 3.4 or newer.
//!
//! In: operations of the [`Store`] trait. Out: one request to etcd each (lists: one per page), a
//! conditional write is one transaction. Knows no prefix of its own. Never repeats a write: when
//! the answer is lost, whether it happened is unknown.

mod compactor;
mod connect;
mod fault;
mod leases;
mod members;
mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{
    Client, Compare, CompareOp, GetOptions, KeyValue, KvClient, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use tokio::task::JoinHandle;
use tracing::warn;

pub use self::connect::{EtcdOptions, EtcdTls, EtcdUser};
use self::{
    fault::Fault,
    leases::Leases,
    members::{Members, Repeat},
};
use super::{Changes, Entry, Page, Store, StoreError};

/// Time that etcd has for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a page of a list, which may be large.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Entries per request of a list.
const PAGE: u64 = 1000;

/// A connection to etcd.
pub struct EtcdStore {
    members: Arc<Members>,
    leases: Leases,
    compactor: Option<JoinHandle<()>>,
}

impl Drop for EtcdStore {
    fn drop(&mut self) {
        if let Some(task) = &self.compactor {
            task.abort();
        }
    }
}

/// What a conditional write does to its key.
enum Then {
    /// Writes it, with an end or without one.
    Put(Bytes, Option<Duration>),
    /// Deletes it.
    Delete,
}

impl EtcdStore {
    /// Connects, and asks once whether etcd answers. Later on connections come back by
    /// themselves.
    pub async fn connect(options: &EtcdOptions) -> Result<Self, StoreError> {
        let members = Arc::new(Members::new(options.clone()));
        let mut store = Self { members, leases: Leases::default(), compactor: None };
        store.revision().await?;
        let every = options.compact_every;
        store.compactor = every.map(|every| tokio::spawn(compactor::run(store.members.clone(), every)));
        Ok(store)
    }

    /// Puts a fault into words that the caller can decide on.
    async fn explain(&self, fault: Fault, asked: u64) -> StoreError {
        match fault {
            Fault::Compacted => match watch::oldest(&self.members).await {
                Ok(oldest) => StoreError::Compacted { oldest },
                Err(error) => error,
            },
            Fault::Future => match self.revision().await {
                Ok(newest) => StoreError::Future { asked, newest },
                Err(error) => error,
            },
            fault => unavailable(fault),
        }
    }

    /// One page of a range, as etcd gives it.
    async fn range(&self, from: &str, end: Vec<u8>, revision: Option<u64>, limit: u64) -> Result<Range, Fault> {
        let options =
            GetOptions::new().with_range(end).with_limit(signed(limit)).with_revision(signed(revision.unwrap_or(0)));
        let get = |client: Client| {
            let (mut kv, from, options) = (kv(&client), from.to_owned(), options.clone());
            async move { kv.get(from, Some(options)).await }
        };
        let mut response = self.members.call(LIST_TIMEOUT, Repeat::Any, get).await?;
        let revision = revision_of(response.header())?;
        let kvs = response.take_kvs();
        let remaining = unsigned(response.count()).saturating_sub(kvs.len() as u64);
        let last = kvs.last().map(|kv| kv.key().to_vec());
        Ok(Range { entries: kvs.into_iter().filter_map(entry).collect(), last, revision, remaining })
    }

    /// Does `then` when the key has this revision, else says what is there.
    async fn write_if(&self, key: &str, expected: u64, then: &Then) -> Result<Result<u64, Option<Entry>>, StoreError> {
        let mut tries = 0;
        loop {
            let (operation, lease) = self.operation(key, then).await.map_err(unavailable)?;
            match (self.transact(key, expected, operation).await, lease) {
                (Ok(answer), _) if answer.succeeded() => {
                    return revision_of(answer.header()).map(Ok).map_err(unavailable);
                }
                (Ok(answer), _) => return Ok(Err(found(&answer))),
                // etcd was restored from a copy, or the clock of its leader jumped.
                (Err(Fault::NoLease), Some(lease)) if tries == 0 => {
                    self.leases.forget(lease).await;
                    tries += 1;
                }
                (Err(fault), _) => return Err(self.explain(fault, 0).await),
            }
        }
    }

    /// What etcd is to do, and the lease that it is bound to.
    async fn operation(&self, key: &str, then: &Then) -> Result<(TxnOp, Option<i64>), Fault> {
        let (value, life) = match then {
            Then::Delete => return Ok((TxnOp::delete(key, None), None)),
            Then::Put(value, life) => (value.clone(), life),
        };
        let Some(life) = life else { return Ok((TxnOp::put(key, value, None), None)) };
        let lease = self.leases.lease(&self.members, *life).await?;
        Ok((TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease))), Some(lease)))
    }

    async fn transact(&self, key: &str, expected: u64, operation: TxnOp) -> Result<TxnResponse, Fault> {
        let condition = Compare::mod_revision(key, CompareOp::Equal, signed(expected));
        let transaction = Txn::new().when([condition]).and_then([operation]).or_else([TxnOp::get(key, None)]);
        let send = |client: Client| {
            let (mut kv, transaction) = (kv(&client), transaction.clone());
            async move { kv.txn(transaction).await }
        };
        self.members.call(TIMEOUT, Repeat::Unsent, send).await
    }

    /// A write to a key that must exist with a revision.
    async fn replace(&self, key: &str, expected: u64, then: Then) -> Result<u64, StoreError> {
        // For etcd revision 0 is "does not exist"; for us nothing ever has it.
        if expected == 0 {
            let current = self.get(key).await?;
            return Err(current.map_or(StoreError::NotFound, |current| StoreError::Conflict { current }));
        }
        self.write_if(key, expected, &then).await?.map_err(|current| match current {
            Some(current) => StoreError::Conflict { current },
            None => StoreError::NotFound,
        })
    }

    /// The keys of each lease under a prefix.
    async fn leased(&self, prefix: &str) -> Result<BTreeMap<i64, Vec<String>>, Fault> {
        let options = GetOptions::new().with_range(end_of(prefix)).with_keys_only();
        let get = |client: Client| {
            let (mut kv, from, options) = (kv(&client), prefix.to_owned(), options.clone());
            async move { kv.get(from, Some(options)).await }
        };
        let mut leases = BTreeMap::<i64, Vec<String>>::new();
        for kv in self.members.call(LIST_TIMEOUT, Repeat::Any, get).await?.take_kvs() {
            let lease = kv.lease();
            if lease != 0 {
                leases.entry(lease).or_default().extend(readable(kv.key().to_vec()));
            }
        }
        Ok(leases)
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let get = |client: Client| {
            let (mut kv, key) = (kv(&client), key.to_owned());
            async move { kv.get(key, None).await }
        };
        match self.members.call(TIMEOUT, Repeat::Any, get).await {
            Ok(mut response) => Ok(response.take_kvs().pop().and_then(entry)),
            Err(fault) => Err(self.explain(fault, 0).await),
        }
    }

    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError> {
        let mut from = start.map_or(prefix, |start| start.max(prefix)).to_owned();
        let mut page = Page { entries: Vec::new(), revision: 0, remaining: 0 };
        let mut at = revision.filter(|revision| *revision > 0);
        loop {
            let wanted = if limit == 0 { PAGE } else { PAGE.min(limit - page.entries.len() as u64) };
            let range = match self.range(&from, end_of(prefix), at, wanted).await {
                Ok(range) => range,
                Err(fault) => return Err(self.explain(fault, at.unwrap_or(0)).await),
            };
            let revision = *at.get_or_insert(range.revision);
            page = Page { entries: page.entries, revision, remaining: range.remaining };
            page.entries.extend(range.entries);
            let full = limit > 0 && page.entries.len() as u64 >= limit;
            match range.last.map(String::from_utf8) {
                Some(Ok(last)) if range.remaining > 0 && !full => from = last + "\0",
                _ => return Ok(page),
            }
        }
    }

    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError> {
        self.write_if(key, 0, &Then::Put(value, life)).await?.map_err(|_| StoreError::Exists)
    }

    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError> {
        self.replace(key, expected, Then::Put(value, life)).await
    }

    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.replace(key, expected, Then::Delete).await
    }

    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError> {
        watch::open(&self.members, prefix, after).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        newest(&self.members).await.map_err(unavailable)
    }

    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError> {
        let mut mortal = Vec::new();
        for (lease, keys) in self.leased(prefix).await.map_err(unavailable)? {
            let ask = |client: Client| async move { client.lease_client().time_to_live(lease, None).await };
            let left = self.members.call(TIMEOUT, Repeat::Any, ask).await.map_err(unavailable)?.ttl();
            let left = Duration::from_secs(unsigned(left));
            mortal.extend(keys.into_iter().map(|key| (key, left)));
        }
        mortal.sort();
        Ok(mortal)
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        match compactor::compact(&self.members, revision).await {
            Ok(()) | Err(Fault::Compacted) => Ok(()),
            Err(fault) => Err(self.explain(fault, revision).await),
        }
    }
}

fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(connect::MAX_MESSAGE)
}

/// The newest revision.
async fn newest(members: &Members) -> Result<u64, Fault> {
    let get = |client: Client| {
        let (mut kv, key) = (kv(&client), members.no_key());
        async move { kv.get(key, Some(GetOptions::new().with_count_only())).await }
    };
    revision_of(members.call(TIMEOUT, Repeat::Any, get).await?.header())
}

/// One answer to a range request.
struct Range {
    entries: Vec<Entry>,
    /// The last key, also when it is not readable.
    last: Option<Vec<u8>>,
    revision: u64,
    remaining: u64,
}

fn found(answer: &TxnResponse) -> Option<Entry> {
    answer.op_responses().into_iter().find_map(|response| match response {
        TxnOpResponse::Get(mut response) => response.take_kvs().pop().and_then(entry),
        _ => None,
    })
}

fn entry(kv: KeyValue) -> Option<Entry> {
    let revision = unsigned(kv.mod_revision());
    let (key, value) = kv.into_key_value();
    Some(Entry { key: readable(key)?, value: value.into(), revision })
}

/// Keys are text; what somebody else has put there is left alone.
fn readable(key: Vec<u8>) -> Option<String> {
    String::from_utf8(key).inspect_err(|error| warn!(key = ?error.as_bytes(), "left out a key that is no text")).ok()
}

fn revision_of(header: Option<&etcd_client::ResponseHeader>) -> Result<u64, Fault> {
    let missing = || Fault::Unavailable(anyhow::anyhow!("an answer without a header"));
    header.map(|header| unsigned(header.revision())).ok_or_else(missing)
}

/// The first key after all that start with `prefix`, in etcd's way: `\0` when there is none.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// etcd counts in signed numbers that are never negative.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn unavailable(fault: Fault) -> StoreError {
    match fault {
        Fault::TooLarge => StoreError::TooLarge,
        Fault::Full => StoreError::Full,
        Fault::StaleToken(error) | Fault::Unsent(error) | Fault::Broken(error) | Fault::Unavailable(error) => {
            StoreError::Unavailable(error)
        }
        fault @ (Fault::Compacted | Fault::Future | Fault::NoLease | Fault::Silent(_)) => {
            StoreError::Unavailable(anyhow::anyhow!("{fault}"))
        }
    }
}
