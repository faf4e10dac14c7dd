//! What the maps hold, and the way from there to what they should.

use std::collections::BTreeSet;

use nodeplane_ebpf_abi::{
    addr::Ipv4Be,
    service::{BackendVal, NO_SERVICE, SvcKey, SvcVal},
};

use super::{
    Image, Limits, Op,
    bytes::{self, Place},
    ids::{LAST, Numbers},
    order::{Draft, arrange},
};
use crate::model::{Frontend, Listen};

/// The Service maps and the ids in them, as they are once all operations are done that were made so far.
///
/// Ids are what the maps say: a frontend has its service's, a slot its backend's. Who is there keeps them; who comes
/// gets new ones. Slots stay where they are, but for the last one of a service, which fills a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    image: Image,
    /// The ids of the frontends.
    in_use: BTreeSet<u32>,
    services: Numbers,
    backends: Numbers,
}

/// One frontend on its way from what is held to what is wanted.
struct Job {
    key: SvcKey,
    value: SvcVal,
    /// For each slot its backend, if that stays.
    kept: Vec<Option<u32>>,
    new: Vec<(u32, BackendVal)>,
}

impl Held {
    /// What an earlier agent wrote, whatever it was in the middle of. [`Self::whole`] must come first.
    pub fn restore(image: Image) -> Self {
        let in_use: BTreeSet<u32> = image.frontends.values().map(|value| value.service).collect();
        let services = Numbers::after(in_use.iter().copied());
        let backends = Numbers::after(image.backends.keys().copied());
        Self { image, in_use, services, backends }
    }

    /// The maps.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How many frontends are served.
    pub fn ports(&self) -> usize {
        self.in_use.len()
    }

    /// Makes the maps hold these frontends, sorted, and nothing else. They must be [admitted](super::admit).
    pub fn whole(&mut self, frontends: &[&Frontend], limits: &Limits) -> Vec<Op> {
        let wanted: BTreeSet<SvcKey> = frontends.iter().filter_map(|frontend| bytes::svc_key(&frontend.at)).collect();
        let addresses: BTreeSet<Ipv4Be> = wanted.iter().map(|key| key.addr).collect();
        let is_wanted =
            |key: &SvcKey| wanted.contains(key) || *key == SvcKey::any_port(key.addr) && addresses.contains(&key.addr);
        let gone: Vec<SvcKey> = self.image.frontends.keys().filter(|key| !is_wanted(key)).copied().collect();
        let mut ops = self.tidy();
        ops.extend(self.remove(&gone));
        ops.extend(self.put(frontends, limits));
        ops
    }

    /// Makes the maps hold what is served at these addresses now, and leaves the others alone. There must be
    /// [room](Self::has_room).
    pub fn update(&mut self, changes: &[(Listen, Option<&Frontend>)], limits: &Limits) -> Vec<Op> {
        let gone = changes.iter().filter(|(_, now)| now.is_none()).filter_map(|(at, _)| bytes::svc_key(at));
        let gone: BTreeSet<SvcKey> = gone.filter(|key| self.image.frontends.contains_key(key)).collect();
        let here: Vec<&Frontend> = changes.iter().filter_map(|(_, now)| *now).collect();
        let busy: BTreeSet<Ipv4Be> =
            here.iter().filter_map(|frontend| bytes::svc_key(&frontend.at)).map(|key| key.addr).collect();
        let deserted = gone
            .iter()
            .map(|key| key.addr)
            .filter(|addr| !busy.contains(addr) && self.image.ports_of(*addr).all(|key| gone.contains(key)));
        let deserted: BTreeSet<SvcKey> = deserted.map(SvcKey::any_port).collect();
        let gone: Vec<SvcKey> = gone.iter().chain(&deserted).copied().collect();
        let mut ops = self.remove(&gone);
        ops.extend(self.put(&here, limits));
        ops
    }

    /// Whether there is surely room for these changes, without a look at all the others.
    pub fn has_room(&self, changes: &[(Listen, Option<&Frontend>)], limits: &Limits) -> bool {
        let (mut frontends, mut backends) = (self.image.frontends.len(), self.image.slots.len());
        for (at, now) in changes {
            let (Some(now), Some(key)) = (now, bytes::svc_key(at)) else { continue };
            let held = self.image.frontends.get(&key);
            // The port, and perhaps the first one of its address.
            frontends += if held.is_some() { 0 } else { 2 };
            backends += now.backends.len().saturating_sub(held.map_or(0, |value| value.count as usize));
        }
        frontends <= limits.frontends && backends <= limits.answering()
    }

    /// Frees what nobody uses, and frontends from ids and slots that are not theirs: they refuse calls until their
    /// turn comes.
    fn tidy(&mut self) -> Vec<Op> {
        let mut draft = Draft::on(&mut self.image);
        let mut owned = BTreeSet::new();
        for (key, value) in draft.image.frontends.clone() {
            let is_in_order = value == SvcVal::default() || is_sound(draft.image, value) && owned.insert(value.service);
            if !is_in_order {
                draft.push(Op::PutFrontend(key, SvcVal::default()));
            }
        }
        draft.sweep();
        self.in_use = owned;
        draft.ops
    }

    /// Takes frontends away, then what was theirs: first of all, to make room.
    fn remove(&mut self, gone: &[SvcKey]) -> Vec<Op> {
        let mut draft = Draft::on(&mut self.image);
        let mut freed = Vec::new();
        for key in gone {
            freed.extend(draft.image.frontends.get(key).map(|value| value.service).filter(|id| *id != NO_SERVICE));
            draft.push(Op::DropFrontend(*key));
        }
        for service in freed {
            draft.clear(service);
            self.in_use.remove(&service);
        }
        draft.ops
    }

    /// One frontend after the other: first those that get smaller. What is held only grows from then on, to no more
    /// than is wanted.
    fn put(&mut self, frontends: &[&Frontend], limits: &Limits) -> Vec<Op> {
        let mut jobs: Vec<Job> = frontends.iter().filter_map(|frontend| self.job(frontend)).collect();
        jobs.sort_by_key(Job::growth);
        let mut draft = Draft::on(&mut self.image);
        jobs.into_iter().for_each(|job| job.carry_out(&mut draft, limits));
        draft.ops
    }

    fn job(&mut self, frontend: &Frontend) -> Option<Job> {
        let key = bytes::svc_key(&frontend.at)?;
        let held = self.image.frontends.get(&key).map(|value| value.service).filter(|id| *id != NO_SERVICE);
        let service = held.unwrap_or_else(|| self.services.next(|id| self.in_use.contains(&id)));
        self.in_use.insert(service);
        let mut missing: BTreeSet<Place> = bytes::places(frontend).collect();
        let count = u32::try_from(missing.len()).ok()?;
        let mut keep = |id: &u32| {
            let value = self.image.backends.get(id)?;
            missing.remove(&(value.addr, value.port)).then_some(*id)
        };
        let kept = self.image.slots_of(service).iter().map(&mut keep).collect();
        let new = bytes::places(frontend).filter(|place| missing.remove(place)).map(|place| {
            let id = self.backends.next(|id| self.image.backends.contains_key(&id));
            (id, bytes::backend_val(place, service, key.proto))
        });
        let new = new.collect();
        Some(Job { key, value: bytes::svc_val(frontend, service, count), kept, new })
    }
}

impl Job {
    /// How many slots it needs more than it has.
    fn growth(&self) -> i64 {
        i64::from(self.value.count) - i64::try_from(self.kept.len()).unwrap_or(i64::MAX)
    }

    fn carry_out(mut self, draft: &mut Draft<'_>, limits: &Limits) {
        // Whatever other port of this address somebody asks for is refused.
        let others = SvcKey::any_port(self.key.addr);
        if draft.image.frontends.get(&others) != Some(&SvcVal::default()) {
            draft.push(Op::PutFrontend(others, SvcVal::default()));
        }
        if !self.fits(draft.image, limits) {
            // Those that go make room for those that come, even if the others are few or none for a moment.
            let slots = arrange(&self.kept, std::iter::empty());
            let count = u32::try_from(slots.len()).unwrap_or_default();
            draft.shift(self.key, SvcVal { count, ..self.value }, &[], &slots);
            self.kept = slots.into_iter().map(Some).collect();
        }
        let slots = arrange(&self.kept, self.new.iter().map(|(id, _)| *id));
        draft.shift(self.key, self.value, &self.new, &slots);
    }

    /// Whether the old and the new state have room beside each other.
    fn fits(&self, image: &Image, limits: &Limits) -> bool {
        let slots = usize::try_from(self.growth()).unwrap_or_default();
        image.backends.len() + self.new.len() <= limits.backends && image.slots.len() + slots <= limits.slots
    }
}

/// Whether a frontend has an id that may be its own, and all its slots lead to backends of it.
fn is_sound(image: &Image, value: SvcVal) -> bool {
    let slots = image.slots_of(value.service);
    let own = |id: &u32| image.backends.get(id).is_some_and(|backend| backend.service == value.service);
    let count = value.count as usize;
    (1..=LAST).contains(&value.service) && slots.len() >= count && slots.iter().take(count).all(own)
}
