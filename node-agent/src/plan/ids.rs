//! Names for services and backends in the maps: small numbers that never change while their owner lives, also across
//! a restart of the agent, which finds them in the maps.

/// Ids above this are not given out: they are the self-test's.
pub(super) const LAST: u32 = u32::MAX - 16;

/// Numbers of one kind of owner.
///
/// They are given upwards and come round only after four billion, so that what the programs remember under an old id
/// (affinity, turns) is not taken for a new owner's. An agent that starts anew goes on from the highest id in the maps:
/// one above it that was freed before may then have a new owner while somebody remembers the old one, who by chance
/// prefers a backend once. The programs never reach another service's backend by that.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Numbers {
    last: u32,
}

impl Numbers {
    /// Goes on from the highest of these ids.
    pub(super) fn after(ids: impl Iterator<Item = u32>) -> Self {
        Self { last: ids.filter(|id| *id <= LAST).max().unwrap_or_default() }
    }

    /// The next number that is not in use. There are more numbers than map entries, so it ends.
    pub(super) fn next(&mut self, used: impl Fn(u32) -> bool) -> u32 {
        loop {
            self.last = if self.last >= LAST { 1 } else { self.last + 1 };
            if !used(self.last) {
                return self.last;
            }
        }
    }
}
