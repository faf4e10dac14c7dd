//! Quotas: what a namespace may have in all.
//!
//! In: an object on its way into a namespace. Out: the status of the namespace's quotas with what
//! it uses, noted before the object is stored, so that two objects do not share one place; or the
//! refusal. What is noted for an object that is not stored after all, the controller of quotas
//! takes back.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use nodeplane_api::{
    meta::{self, Key},
    quantity::Quantity,
    status::Status,
    usage::{self, Amounts},
};
use serde_json::Value;

use super::{Lookup, Operation, Plugin, Review, core, shown_name};
use crate::store::object::Object;

/// How often quotas are noted in while others note in them, too.
const TRIES: u32 = 16;

/// Upstream's `ResourceQuota`, the last of all.
pub(super) struct ResourceQuota<L>(pub(super) Arc<L>);

#[async_trait]
impl<L: Lookup> Plugin for ResourceQuota<L> {
    async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        let kind = review.kind();
        let counts = match review.operation {
            Operation::Create => true,
            Operation::Update => usage::may_change(kind),
            Operation::Delete => false,
        };
        if !counts || review.subresource().is_some() || !usage::is_counted(kind) {
            return Ok(());
        }
        for quota in self.0.all(core("resourcequotas")?, review.namespace()).await? {
            self.charge(review, object, quota).await?;
        }
        Ok(())
    }
}

impl<L: Lookup> ResourceQuota<L> {
    /// Notes in one quota what the object uses.
    async fn charge(&self, review: &Review<'_>, object: &Value, mut quota: Object) -> Result<(), Status> {
        let quotas = core("resourcequotas")?;
        for _ in 0..TRIES {
            let Some(used) = used_with(review, object, &quota.tree())? else { return Ok(()) };
            if review.dry_run {
                return Ok(());
            }
            let mut next = quota.value().clone();
            next["status"]["used"] = usage::write(&used);
            if self.0.replace(quotas, &quota, next).await? {
                return Ok(());
            }
            match self.0.newest(quotas, &Key::new(review.namespace(), quota.name())).await? {
                Some(newest) => quota = newest,
                // What is gone limits nothing.
                None => return Ok(()),
            }
        }
        Err(Status::stale(quotas, quota.name()))
    }
}

/// What is used in all once the object is there; `None` when that does not change.
fn used_with(review: &Review<'_>, object: &Value, quota: &Value) -> Result<Option<Amounts>, Status> {
    let kind = review.kind();
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
    let (kind, now) = (review.kind(), Timestamp::now());
    let was_counted = |old: &&Value| usage::chooses(&quota["spec"], kind, old);
    let before = review.old.filter(was_counted).map(|old| usage::of(kind, old, now)).unwrap_or_default();
    let grown = usage::of(kind, object, now).into_iter().map(|(name, amount)| {
        let had = before.get(&name).copied().unwrap_or(Quantity::ZERO);
        (name, amount - had)
    });
    grown.filter(|(name, more)| *more > Quantity::ZERO && limited.contains(&name.as_str())).collect()
}
