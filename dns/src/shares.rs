//! How much of something one client may take, so that no client takes all of it.
//!
//! In: who takes a share. Out: the share, which is given back when it is dropped; or nothing, when
//! the client has its part already. Knows only those that have a share at the moment.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[cfg(test)]
mod tests;

/// So many for each client.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    each: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One share of a client.
#[derive(Debug)]
pub(crate) struct Share {
    client: IpAddr,
    shares: Shares,
}

impl Shares {
    /// `each` for each client.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, taken: Arc::default() }
    }

    /// A share for `client`, if it has fewer than it may.
    pub(crate) fn take(&self, client: IpAddr) -> Option<Share> {
        let mut taken = self.lock();
        let count = taken.entry(client).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Share { client, shares: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing in there can be half done.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}
