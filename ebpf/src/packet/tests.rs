use core::net::Ipv4Addr;

use nodeplane_ebpf_abi::ranges::Range;
use proptest::prelude::*;

use super::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 5);
const B: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 6);

fn ranges() -> Ranges {
    Ranges { services: Range::new(Ipv4Addr::new(10, 96, 0, 0), 16), pods: Range::new(Ipv4Addr::new(10, 244, 0, 0), 16) }
}

fn frame(destination: Ipv4Addr, ttl: u8) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[0..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    head[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    head[12..14].copy_from_slice(&IPV4);
    head[14] = 0x45;
    head[16..18].copy_from_slice(&100u16.to_be_bytes());
    head[22] = ttl;
    head[23] = 17;
    head[26..30].copy_from_slice(&A.octets());
    head[30..34].copy_from_slice(&destination.octets());
    let sum = checksum(&head);
    head[24..26].copy_from_slice(&sum.to_be_bytes());
    head
}

/// RFC 1071, over the header with its checksum field taken as zero.
fn checksum(head: &[u8; HEAD]) -> u16 {
    let mut sum = 0u32;
    for at in (14..HEAD).step_by(2).filter(|at| *at != CHECKSUM) {
        sum += u32::from(u16::from_be_bytes([head[at], head[at + 1]]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn endpoint() -> EndpointVal {
    EndpointVal { ifindex: 7, pod_mac: Mac([2, 1, 1, 1, 1, 1]), host_mac: Mac([2, 2, 2, 2, 2, 2]) }
}

#[test]
fn reads_the_fields() {
    let packet = parse(&frame(B, 64)).expect("IPv4");
    assert_eq!(packet, Packet { source: A.into(), destination: B.into(), length: 100, ttl: 64, protocol: 17 });
}

#[test]
fn leaves_other_protocols_alone() {
    let mut arp = frame(B, 64);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(parse(&arp), None);
    let mut odd = frame(B, 64);
    odd[14] = 0x65;
    assert_eq!(parse(&odd), None);
}

/// The interface of A's pod.
const FROM: u32 = 3;

/// A's and B's pods.
fn pods(addr: &Ipv4Be) -> Option<EndpointVal> {
    let sender = || EndpointVal { ifindex: FROM, ..EndpointVal::default() };
    (*addr == A.into()).then(sender).or_else(|| (*addr == B.into()).then(endpoint))
}

#[test]
fn a_local_pod_is_reached_directly_even_on_the_last_hop() {
    let packet = parse(&frame(B, 1)).expect("IPv4");
    let route = route(&packet, FROM, &ranges(), pods);
    assert_eq!(route, Route::LocalPod(endpoint()));
}

#[test]
fn other_pods_are_elsewhere_and_the_rest_is_the_stacks() {
    let to = |addr, ttl| route(&parse(&frame(addr, ttl)).expect("IPv4"), FROM, &ranges(), pods);
    assert_eq!(to(Ipv4Addr::new(10, 244, 3, 9), 64), Route::OtherNode);
    assert_eq!(to(Ipv4Addr::new(10, 244, 3, 9), 1), Route::Stack);
    assert_eq!(to(Ipv4Addr::new(10, 96, 0, 1), 64), Route::Stack);
    assert_eq!(to(Ipv4Addr::new(192, 0, 2, 1), 64), Route::Stack);
}

#[test]
fn a_forged_source_goes_nowhere_past_the_stack() {
    let far = Ipv4Addr::new(10, 244, 3, 9);
    for to in [B, far, Ipv4Addr::new(10, 96, 0, 1), Ipv4Addr::new(192, 0, 2, 1)] {
        let packet = parse(&frame(to, 64)).expect("IPv4");
        assert_eq!(route(&packet, FROM + 1, &ranges(), pods), Route::Spoofed, "a neighbour's address, to {to}");
        for source in [far, Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::UNSPECIFIED] {
            let forged = Packet { source: source.into(), ..packet };
            assert_eq!(route(&forged, FROM, &ranges(), pods), Route::Stack, "{source} to {to}");
        }
    }
}

#[test]
fn packets_that_were_joined_are_as_long_as_each_of_them() {
    let packet = Packet { length: 64_000, ..parse(&frame(B, 64)).expect("IPv4") };
    assert_eq!(packet.length_on_wire(0), 64_000);
    assert_eq!(packet.length_on_wire(1_472), 1_500);
    assert_eq!(Packet { protocol: TCP, ..packet }.length_on_wire(1_448), 1_488);
    assert_eq!(packet.length_on_wire(u32::MAX), u16::MAX);
}

#[test]
fn readdressing_changes_the_ethernet_addresses_alone() {
    let before = frame(B, 64);
    let mut after = before;
    readdress(&mut after, endpoint().pod_mac, endpoint().host_mac);
    assert_eq!(after[..6], endpoint().pod_mac.0);
    assert_eq!(after[6..12], endpoint().host_mac.0);
    assert_eq!(after[12..], before[12..]);
}

proptest! {
    #[test]
    fn a_hop_keeps_the_checksum_right(bytes in proptest::collection::vec(any::<u8>(), HEAD), ttl in 2u8..) {
        let mut head: [u8; HEAD] = bytes.try_into().expect("length");
        head[TTL] = ttl;
        let sum = checksum(&head);
        head[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        hop(&mut head);
        prop_assert_eq!(head[TTL], ttl - 1);
        let stored = u16::from_be_bytes([head[CHECKSUM], head[CHECKSUM + 1]]);
        let fresh = checksum(&head);
        // Ones' complement has two zeros.
        let is_zero = |sum: u16| sum == 0 || sum == 0xffff;
        prop_assert!(stored == fresh || (is_zero(stored) && is_zero(fresh)), "{} {}", stored, fresh);
    }

    #[test]
    fn parsing_takes_any_bytes(bytes in proptest::collection::vec(any::<u8>(), HEAD)) {
        let head: [u8; HEAD] = bytes.try_into().expect("length");
        let _ = parse(&head);
    }
}
