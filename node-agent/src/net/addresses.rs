//! Which pod has which address of the node's range. Pure.
//!
//! In: what is known to be in use, by link name. Out: free addresses, each given once. An address that was given back
//! is the last to be given again, as long as the agent runs: somebody may still send to its former owner.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use super::cidr::Cidr;

/// The addresses of a node.
#[derive(Debug)]
pub struct Addresses {
    range: Cidr,
    /// Every address in use, also those that lie outside the range: a pod may be older than the range.
    owners: BTreeMap<Ipv4Addr, String>,
    /// The address that a link has or shall have.
    current: HashMap<String, Ipv4Addr>,
    last_given: Option<Ipv4Addr>,
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Every address is in use.
    #[error("no address is free in {0}")]
    Exhausted(Cidr),
    /// Somebody else has it.
    #[error("address {0} belongs to another pod")]
    Taken(Ipv4Addr),
    /// It is not an address that a pod of this node can have.
    #[error("address {address} is not for pods of this node, whose range is {range}")]
    Foreign {
        /// Which address.
        address: Ipv4Addr,
        /// The range.
        range: Cidr,
    },
}

impl Addresses {
    /// All of a range is free, but the node's own address.
    pub fn new(range: Cidr) -> Self {
        Self { range, owners: BTreeMap::new(), current: HashMap::new(), last_given: None }
    }

    /// Notes that a link has an address; the first one to say so has it. What was in use before this agent started is
    /// in use whatever the range is now.
    pub fn restore(&mut self, link: &str, address: Ipv4Addr) {
        self.owners.entry(address).or_insert_with(|| link.to_owned());
        if self.owners[&address] == link {
            self.current.entry(link.to_owned()).or_insert(address);
        }
    }

    /// The address that a link has, or a free one.
    ///
    /// # Errors
    /// There is none.
    pub fn give(&mut self, link: &str) -> Result<Ipv4Addr, AddressError> {
        if let Some(address) = self.current.get(link) {
            return Ok(*address);
        }
        let address = self.free().ok_or(AddressError::Exhausted(self.range))?;
        self.last_given = Some(address);
        self.take(link, address);
        Ok(address)
    }

    /// Makes an address a link's.
    ///
    /// # Errors
    /// It is another's, or not for pods.
    pub fn claim(&mut self, link: &str, address: Ipv4Addr) -> Result<(), AddressError> {
        match self.owners.get(&address) {
            Some(owner) if owner != link => return Err(AddressError::Taken(address)),
            None if !self.is_for_pods(address) => return Err(AddressError::Foreign { address, range: self.range }),
            _ => self.take(link, address),
        }
        Ok(())
    }

    /// The address of a link.
    pub fn of(&self, link: &str) -> Option<Ipv4Addr> {
        self.current.get(link).copied()
    }

    /// A link needs no address any more.
    pub fn release(&mut self, link: &str) {
        self.current.remove(link);
        self.owners.retain(|_, owner| owner != link);
    }

    /// Everything in use.
    pub fn in_use(&self) -> &BTreeMap<Ipv4Addr, String> {
        &self.owners
    }

    fn take(&mut self, link: &str, address: Ipv4Addr) {
        self.owners.insert(address, link.to_owned());
        self.current.insert(link.to_owned(), address);
    }

    /// The next free address after the one that was given last, around the end.
    fn free(&self) -> Option<Ipv4Addr> {
        let last = self.last_given.unwrap_or(self.range.first());
        let is_free = |address: &Ipv4Addr| self.is_for_pods(*address) && !self.owners.contains_key(address);
        let after = self.range.hosts().filter(|address| *address > last).find(is_free);
        after.or_else(|| self.range.hosts().find(is_free))
    }

    fn is_for_pods(&self, address: Ipv4Addr) -> bool {
        let mut ends = [self.range.hosts().next(), self.range.hosts().next_back()].into_iter().flatten();
        let (first, last) = (ends.next(), ends.next());
        // The first is the node's own.
        first.is_some_and(|first| address > first) && last.is_some_and(|last| address <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(range: &str) -> Addresses {
        Addresses::new(range.parse().expect("a range"))
    }

    fn host(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 244, 1, last)
    }

    #[test]
    fn each_address_is_given_once_and_a_link_keeps_its_own() {
        let mut all = addresses("10.244.1.0/29");
        let given: Vec<_> = ["a", "b", "c", "d", "e"].map(|link| all.give(link)).into_iter().collect();
        // .0 is the network, .1 the node, .7 means everybody.
        assert_eq!(given, [2, 3, 4, 5, 6].map(|last| Ok(host(last))));
        assert_eq!(all.give("c"), Ok(host(4)));
        let error = all.give("f").expect_err("full");
        assert_eq!(error.to_string(), "no address is free in 10.244.1.0/29");
    }

    #[test]
    fn an_address_given_back_is_the_last_to_be_given_again() {
        let mut all = addresses("10.244.1.0/29");
        for link in ["a", "b"] {
            all.give(link).expect("free");
        }
        all.release("a");
        assert_eq!(all.of("a"), None);
        let next: Vec<_> = ["c", "d", "e", "f"].map(|link| all.give(link).expect("free")).into_iter().collect();
        assert_eq!(next, [4, 5, 6, 2].map(host));
    }

    #[test]
    fn what_was_in_use_before_stays_so() {
        let mut all = addresses("10.244.1.0/29");
        all.restore("old", host(2));
        all.restore("liar", host(2));
        all.restore("twice", host(4));
        all.restore("twice", host(3));
        all.restore("moved", Ipv4Addr::new(10, 9, 9, 9));
        assert_eq!(all.of("old"), Some(host(2)));
        assert_eq!(all.of("liar"), None);
        assert_eq!(all.give("twice"), Ok(host(4)));
        assert_eq!(all.give("moved"), Ok(Ipv4Addr::new(10, 9, 9, 9)));
        assert_eq!(all.give("new"), Ok(host(5)), "both addresses of a link are in use");
        all.release("twice");
        assert_eq!(["x", "y", "z"].map(|link| all.give(link)), [Ok(host(6)), Ok(host(3)), Ok(host(4))]);
    }

    #[test]
    fn only_free_addresses_of_pods_can_be_claimed() {
        let mut all = addresses("10.244.1.0/29");
        assert_eq!(all.claim("a", host(5)), Ok(()));
        assert_eq!(all.claim("a", host(5)), Ok(()));
        assert_eq!(all.claim("b", host(5)), Err(AddressError::Taken(host(5))));
        for last in [0, 1, 7, 8] {
            let error = all.claim("b", host(last)).expect_err("not for pods");
            assert!(error.to_string().contains("is not for pods of this node"), "{error}");
        }
        all.restore("old", Ipv4Addr::new(10, 9, 9, 9));
        assert_eq!(all.claim("old", Ipv4Addr::new(10, 9, 9, 9)), Ok(()));
    }

    #[test]
    fn a_range_without_room_gives_nothing() {
        for range in ["10.244.1.0/30", "10.244.1.0/31", "10.244.1.0/32"] {
            let mut all = addresses(range);
            let given = ["a", "b"].map(|link| all.give(link).is_ok());
            assert_eq!(given, [range.ends_with("/30"), false], "{range}");
        }
    }
}
