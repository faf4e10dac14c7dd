//! Service account tokens of a pod's projected volumes, renewed in time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use tracing::warn;

use super::{
    api::{ApiError, PodApi, Token, TokenWish},
    pod::PodExt,
    volumes,
};

/// How long a token holds when nothing is said, seconds.
const DEFAULT_SECONDS: i64 = 3600;
/// The shortest that Kubernetes grants, seconds.
const LEAST_SECONDS: i64 = 600;
/// No token is kept longer, however long it holds.
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);
/// No token is asked for again sooner, whatever the clocks of two machines say.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// The tokens of one pod.
#[derive(Default)]
pub struct TokenCache(Mutex<HashMap<TokenWish, Held>>);

struct Held {
    token: String,
    renew: Timestamp,
    expires: Timestamp,
}

impl TokenCache {
    /// All tokens that the pod's volumes show, by volume and path: held ones as long as they are
    /// fresh, and as long as they hold when there are no others.
    pub async fn of(&self, api: &dyn PodApi, pod: &Pod, now: Timestamp) -> Result<volumes::Tokens, ApiError> {
        let mut tokens = volumes::Tokens::new();
        for (place, wish) in wishes(pod) {
            let fresh = self.held().get(&wish).filter(|held| held.renew > now).map(|held| held.token.clone());
            let token = match fresh {
                Some(token) => token,
                None => match api.token(&pod.id(), &wish).await {
                    Ok(granted) => self.hold(wish, granted, now),
                    Err(error) => self.keep(&wish, &error, now).ok_or_else(|| not_fetched(&place.0, &error))?,
                },
            };
            tokens.insert(place, token);
        }
        Ok(tokens)
    }

    fn hold(&self, wish: TokenWish, granted: Token, now: Timestamp) -> String {
        let expires = granted.expires.unwrap_or_else(|| after(now, SignedDuration::from_secs(wish.seconds)));
        let held = Held { token: granted.text.clone(), renew: renewal(expires, now), expires };
        self.held().insert(wish, held);
        granted.text
    }

    /// The old token, if it still holds; another one is asked for later.
    fn keep(&self, wish: &TokenWish, error: &ApiError, now: Timestamp) -> Option<String> {
        let mut all = self.held();
        let held = all.get_mut(wish).filter(|held| held.expires > now)?;
        warn!(account = wish.account, %error, expires = %held.expires, "cannot renew a token; it still holds");
        held.renew = after(now, AGAIN);
        Some(held.token.clone())
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
fn renewal(expires: Timestamp, now: Timestamp) -> Timestamp {
    after(now, (expires.duration_since(now) / 5 * 4).clamp(AGAIN, LONGEST_USE))
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

fn not_fetched(volume: &str, error: &ApiError) -> ApiError {
    ApiError::Failed(format!("MountVolume.SetUp failed for volume \"{volume}\" : failed to fetch token: {error}"))
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
