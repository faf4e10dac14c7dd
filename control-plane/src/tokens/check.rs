//! Whose token something is.
//!
//! In: a token, and what the cluster holds now. Out: its holder, or why it does not hold, in
//! upstream's words. What the watch cache knows is enough to accept a token; before one is
//! refused, the store is asked.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use nodeplane_api::{kinds::Kind, meta::Key, status::Status};

use super::{Claims, Reference, Tokens, groups, user_name};
use crate::{
    access::{AUTHENTICATED, Caller},
    registry::{admission::Lookup, objects::known},
    store::object::Object,
};

/// How far the clocks of two machines may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_mins(1);

/// What the claims of a caller begin with that upstream adds.
const EXTRA: &str = "authentication.kubernetes.io/";

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As whom the holder calls.
    pub caller: Caller,
    /// Which of the wanted audiences the token is for.
    pub audiences: Vec<String>,
}

/// Why a token does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is none of ours.
    #[error("invalid bearer token")]
    Foreign,
    /// Its time is over.
    #[error("service account token has expired")]
    Expired,
    /// Its time has not come.
    #[error("service account token is not valid yet")]
    Early,
    /// It is for others.
    #[error("token audiences {has:?} is invalid for the target audiences {wanted:?}")]
    Audience {
        /// Whom it is for.
        has: Vec<String>,
        /// Whom it was shown to.
        wanted: Vec<String>,
    },
    /// Its account is gone.
    #[error("serviceaccounts {0:?} not found")]
    NoAccount(String),
    /// Its account is another one by now.
    #[error("service account UID ({found}) does not match claim ({claimed})")]
    OtherAccount {
        /// The uid that the account has now.
        found: String,
        /// The uid in the token.
        claimed: String,
    },
    /// What it is bound to is gone.
    #[error("service account token has been invalidated")]
    Invalidated,
    /// Whether it holds cannot be found out now.
    #[error("{0}")]
    Unknown(Status),
}

impl Tokens {
    /// Whose token this is, when it is for this API.
    ///
    /// # Errors
    /// When it does not hold.
    pub async fn authenticate(&self, cluster: &dyn Lookup, token: &str) -> Result<Holder, Refusal> {
        let audiences: Vec<&str> = self.audiences.iter().map(String::as_str).collect();
        self.authenticate_for(cluster, token, &audiences).await
    }

    /// Whose token this is, when it is for one of these audiences.
    ///
    /// # Errors
    /// When it does not hold.
    pub async fn authenticate_for(
        &self,
        cluster: &dyn Lookup,
        token: &str,
        audiences: &[&str],
    ) -> Result<Holder, Refusal> {
        self.authenticate_at(cluster, token, audiences, Timestamp::now()).await
    }

    async fn authenticate_at(
        &self,
        cluster: &dyn Lookup,
        token: &str,
        audiences: &[&str],
        now: Timestamp,
    ) -> Result<Holder, Refusal> {
        let claims = self.read(token)?;
        check_time(&claims, now)?;
        let common: Vec<String> =
            claims.audiences.iter().filter(|has| audiences.contains(&has.as_str())).cloned().collect();
        if common.is_empty() {
            let wanted = audiences.iter().map(|wanted| (*wanted).to_owned()).collect();
            return Err(Refusal::Audience { has: claims.audiences, wanted });
        }
        Living { cluster, now }.check(&claims).await?;
        Ok(Holder { caller: caller(&claims), audiences: common })
    }

    fn read(&self, token: &str) -> Result<Claims, Refusal> {
        let claims = self.key.verify(token).ok_or(Refusal::Foreign)?;
        let claims: Claims = serde_json::from_value(claims).map_err(|_| Refusal::Foreign)?;
        let subjects = &claims.subjects;
        let is_ours = self.issuers.contains(&claims.issuer);
        let is_one = claims.subject == user_name(&subjects.namespace, &subjects.account.name);
        if is_ours && is_one { Ok(claims) } else { Err(Refusal::Foreign) }
    }
}

fn check_time(claims: &Claims, now: Timestamp) -> Result<(), Refusal> {
    let (now, leeway) = (now.as_second(), LEEWAY.as_secs());
    if now - leeway > claims.expires {
        return Err(Refusal::Expired);
    }
    if now + leeway < claims.not_before.max(claims.issued) {
        return Err(Refusal::Early);
    }
    Ok(())
}

/// As whom the holder calls (upstream's `ServiceAccountInfo.UserInfo`).
fn caller(claims: &Claims) -> Caller {
    let subjects = &claims.subjects;
    let mut groups = groups(&subjects.namespace);
    groups.push(AUTHENTICATED.to_owned());
    let mut caller = Caller::named(&claims.subject, groups).with_uid(&subjects.account.uid);
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            caller = std::mem::take(&mut caller).with_extra(format!("{EXTRA}{key}"), vec![value.to_owned()]);
        }
    };
    add("credential-id", &format!("JTI={}", claims.id));
    for (what, reference) in [("pod", &subjects.pod), ("node", &subjects.node)] {
        if let Some(Reference { name, uid }) = reference {
            add(&format!("{what}-name"), name);
            add(&format!("{what}-uid"), uid);
        }
    }
    caller
}

/// What the cluster holds now.
struct Living<'a> {
    cluster: &'a dyn Lookup,
    now: Timestamp,
}

impl Living<'_> {
    async fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        let subjects = &claims.subjects;
        let account = &subjects.account;
        match self.find("serviceaccounts", &subjects.namespace, account).await? {
            None => return Err(Refusal::NoAccount(account.name.clone())),
            Some(found) if found != account.uid => {
                return Err(Refusal::OtherAccount { found, claimed: account.uid.clone() });
            }
            Some(_) => {}
        }
        self.check_bound("pods", &subjects.namespace, subjects.pod.as_ref()).await?;
        self.check_bound("secrets", &subjects.namespace, subjects.secret.as_ref()).await?;
        // The node of a pod is only told; the pod is what the token is bound to.
        let node = subjects.node.as_ref().filter(|_| subjects.pod.is_none());
        self.check_bound("nodes", "", node).await
    }

    async fn check_bound(&self, plural: &str, namespace: &str, bound: Option<&Reference>) -> Result<(), Refusal> {
        let Some(bound) = bound else { return Ok(()) };
        let found = self.find(plural, namespace, bound).await?;
        if found.is_some_and(|found| found == bound.uid) { Ok(()) } else { Err(Refusal::Invalidated) }
    }

    /// The uid of the object that has this name now.
    async fn find(&self, plural: &str, namespace: &str, wanted: &Reference) -> Result<Option<String>, Refusal> {
        let kind: &'static Kind = known("", "v1", plural).map_err(Refusal::Unknown)?;
        let key = Key::new(namespace, &wanted.name);
        if let Some(found) = self.cluster.known(kind, &key).await.and_then(|found| self.uid_of_living(&found))
            && found == wanted.uid
        {
            return Ok(Some(found));
        }
        let found = self.cluster.newest(kind, &key).await.map_err(Refusal::Unknown)?;
        Ok(found.and_then(|found| self.uid_of_living(&found)))
    }

    /// Nothing for an object whose deletion should long be over.
    fn uid_of_living(&self, object: &Object) -> Option<String> {
        let text = |pointer: &str| object.field(pointer).map(Cow::into_owned).unwrap_or_default();
        let deleted = text("/metadata/deletionTimestamp").parse::<Timestamp>().ok();
        let is_over = deleted.is_some_and(|deleted| deleted < self.now - LEEWAY);
        (!is_over).then(|| text("/metadata/uid"))
    }
}

#[cfg(test)]
mod tests;
