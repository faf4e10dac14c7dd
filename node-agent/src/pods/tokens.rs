//! Service account tokens of a pod's projected volumes, renewed in time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::{
    api::{ApiError, PodApi, TokenWish},
    pod::PodExt,
    volumes,
};

/// How long a token holds when nothing is said, seconds.
const DEFAULT_SECONDS: i64 = 3600;
/// The shortest that Kubernetes grants, seconds.
const LEAST_SECONDS: i64 = 600;
/// No token is kept longer, however long it holds.
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);

/// The tokens of one pod.
#[derive(Default)]
pub struct TokenCache(Mutex<HashMap<TokenWish, Held>>);

struct Held {
    token: String,
    renew: Timestamp,
}

impl TokenCache {
    /// All tokens that the pod's volumes show, by volume and path: held ones as long as they are
    /// fresh.
    pub async fn of(&self, api: &dyn PodApi, pod: &Pod, now: Timestamp) -> Result<volumes::Tokens, ApiError> {
        let mut tokens = volumes::Tokens::new();
        for (place, wish) in wishes(pod) {
            let fresh = self.held().get(&wish).filter(|held| held.renew > now).map(|held| held.token.clone());
            let token = match fresh {
                Some(token) => token,
                None => {
                    let token = api.token(&pod.id(), &wish).await?;
                    let held = Held { token: token.clone(), renew: renewal(&wish, now) };
                    self.held().insert(wish, held);
                    token
                }
            };
            tokens.insert(place, token);
        }
        Ok(tokens)
    }

    /// When the first of them should be renewed.
    pub fn renewal(&self) -> Option<Timestamp> {
        self.held().values().map(|held| held.renew).min()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TokenWish, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At four fifths of its time, as upstream does.
fn renewal(wish: &TokenWish, now: Timestamp) -> Timestamp {
    let used = SignedDuration::from_secs(wish.seconds * 4 / 5).min(LONGEST_USE);
    now.checked_add(used).unwrap_or(now)
}

/// The tokens that a pod's volumes want, by volume and path.
fn wishes(pod: &Pod) -> Vec<((String, String), TokenWish)> {
    let spec = PodExt::spec(pod);
    let account = spec.service_account_name.clone().filter(|name| !name.is_empty()).unwrap_or("default".to_owned());
    let mut all = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        for source in volume.projected.iter().flat_map(|projected| &projected.sources).flatten() {
            let Some(token) = &source.service_account_token else { continue };
            let wish = TokenWish {
                account: account.clone(),
                audience: token.audience.clone().unwrap_or_default(),
                seconds: token.expiration_seconds.unwrap_or(DEFAULT_SECONDS).max(LEAST_SECONDS),
            };
            all.push(((volume.name.clone(), token.path.clone()), wish));
        }
    }
    all
}

#[cfg(test)]
mod tests;
