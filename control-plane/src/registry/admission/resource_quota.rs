//! Quotas: what a namespace may have in all.
//!
//! In: an object on its way into a namespace. Out: the status of the namespace's quotas with what
//! it uses, noted before the object is stored, so that two objects do not share one place; or the
//! refusal of one of them, and then no quota has noted anything. What is noted for an object that is not stored after all, the controller of quotas
//! takes back.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use nodeplane_api::{
    meta::{self, Key},
    quantity::Quantity,
    status::Status,
    usage::{self, Amounts},
};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::{Lookup, Operation, Plugin, Review, core, shown_name};
use crate::store::object::Object;

/// How often quotas are noted in while others note in them, too: the controller, other servers.
const TRIES: u32 = 16;
/// Milliseconds before the next try.
const PAUSE: RangeInclusive<u64> = 2..=40;

/// Upstream's `ResourceQuota`, the last of all.
pub(super) struct ResourceQuota<L> {
    lookup: Arc<L>,
    /// Who looks whether there is room and takes it is not disturbed by another one here.
    turns: Turns,
}

#[async_trait]
impl<L: Lookup> Plugin for ResourceQuota<L> {
    async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        // A view is counted as what is stored.
        let kind = review.kind().stored();
        let counts = match review.operation {
            Operation::Create => true,
            Operation::Update => usage::may_change(kind),
            Operation::Delete => false,
        };
        if !counts || review.subresource().is_some() || !usage::is_counted(kind) {
            return Ok(());
        }
        let all = self.lookup.all(core("resourcequotas")?, review.namespace()).await?;
        let limits = |quota: &Object| {
            usage::read(&quota.tree()["status"]["hard"]).keys().any(|name| usage::is_about(kind, name))
        };
        let limiting: Vec<Object> = all.into_iter().filter(limits).collect();
        if limiting.is_empty() {
            return Ok(());
        }
        let _turn = self.turns.take(review.namespace()).await;
        self.charge(review, object, limiting).await
    }
}

impl<L: Lookup> ResourceQuota<L> {
    pub(super) fn new(lookup: Arc<L>) -> Self {
        Self { lookup, turns: Turns::default() }
    }

    /// Notes in all quotas what the object uses, once all have room for it.
    async fn charge(&self, review: &Review<'_>, object: &Value, mut quotas: Vec<Object>) -> Result<(), Status> {
        let kind = core("resourcequotas")?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(rand::random_range(PAUSE))).await;
            }
            let fitting = self.fit(review, object, &quotas).await?;
            if review.dry_run {
                return Ok(());
            }
            let mut missed = Vec::new();
            for (quota, used) in fitting {
                let mut next = quota.value().clone();
                next["status"]["used"] = usage::write(&used);
                if !self.lookup.replace(kind, &quota, next).await? {
                    missed.push(quota);
                }
            }
            if missed.is_empty() {
                return Ok(());
            }
            quotas = missed;
        }
        Err(Status::stale(kind, quotas.first().map_or("", Object::name)))
    }

    /// The newest states of the quotas in which the object has to be noted, and what is used then;
    /// or the refusal of one of them. Nothing is written.
    async fn fit(
        &self,
        review: &Review<'_>,
        object: &Value,
        quotas: &[Object],
    ) -> Result<Vec<(Object, Amounts)>, Status> {
        let mut fitting = Vec::new();
        for quota in quotas {
            let key = Key::new(review.namespace(), quota.name());
            // What is gone limits nothing.
            let Some(newest) = self.lookup.newest(core("resourcequotas")?, &key).await? else { continue };
            if let Some(used) = used_with(review, object, &newest.tree())? {
                fitting.push((newest, used));
            }
        }
        Ok(fitting)
    }
}

/// One after the other in each namespace. A namespace is forgotten when nobody waits there.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn take(&self, namespace: &str) -> OwnedMutexGuard<()> {
        self.of(namespace).lock_owned().await
    }

    fn of(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(namespace).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(namespace.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

/// What is used in all once the object is there; `None` when that does not change.
fn used_with(review: &Review<'_>, object: &Value, quota: &Value) -> Result<Option<Amounts>, Status> {
    let kind = review.kind().stored();
    let (hard, used) = (usage::read(&quota["status"]["hard"]), usage::read(&quota["status"]["used"]));
    let limited: Vec<&str> = hard.keys().map(String::as_str).filter(|name| usage::is_about(kind, name)).collect();
    if limited.is_empty() || !usage::chooses(&quota["spec"], kind, object) {
        return Ok(None);
    }
    let name = meta::name(quota);
    let refuse = |why: String| Err(Status::forbidden(kind, shown_name(object), why));
    if kind.plural == "pods"
        && let Some(missing) = usage::missing(&object["spec"], limited.iter().copied())
    {
        return refuse(format!("failed quota: {name}: {missing}"));
    }
    if limited.iter().any(|limited| !used.contains_key(*limited)) {
        return refuse(format!("status unknown for quota: {name}, resources: {}", limited.join(",")));
    }
    let requested = added_by(review, object, quota, &limited);
    if requested.is_empty() {
        return Ok(None);
    }
    let mut all = used.clone();
    usage::add(&mut all, &requested);
    let exceeded = |name: &str| all.get(name) > hard.get(name);
    let only = |amounts: &Amounts| -> Amounts {
        let kept = amounts.iter().filter(|(name, _)| requested.contains_key(*name) && exceeded(name));
        kept.map(|(name, amount)| (name.clone(), *amount)).collect()
    };
    if requested.keys().any(|name| exceeded(name)) {
        return refuse(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            usage::shown(&only(&requested)),
            usage::shown(&only(&used)),
            usage::shown(&only(&hard)),
        ));
    }
    Ok(Some(all))
}

/// What a quota has to note for the object: all of it, or what it has grown by.
fn added_by(review: &Review<'_>, object: &Value, quota: &Value, limited: &[&str]) -> Amounts {
    let (kind, now) = (review.kind().stored(), Timestamp::now());
    let was_counted = |old: &&Value| usage::chooses(&quota["spec"], kind, old);
    let before = review.old.filter(was_counted).map(|old| usage::of(kind, old, now)).unwrap_or_default();
    let grown = usage::of(kind, object, now).into_iter().map(|(name, amount)| {
        let had = before.get(&name).copied().unwrap_or(Quantity::ZERO);
        (name, amount - had)
    });
    grown.filter(|(name, more)| *more > Quantity::ZERO && limited.contains(&name.as_str())).collect()
}
