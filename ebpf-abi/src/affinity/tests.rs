use core::net::Ipv4Addr;

use super::*;

#[test]
fn an_ipv4_client_is_the_same_as_its_ipv6_form() {
    let addr = Ipv4Addr::new(10, 244, 1, 2);
    let octets = addr.to_ipv6_mapped().octets();
    let words: [u32; 4] =
        core::array::from_fn(|word| u32::from_ne_bytes(core::array::from_fn(|byte| octets[4 * word + byte])));
    assert_eq!(Client::ipv4(addr.into()), Client::ipv6(words));
}

#[test]
fn both_halves_of_a_cookie_count() {
    assert_ne!(Client::cookie(1 << 32), Client::cookie(1));
    assert_ne!(Client::cookie(1 << 32), Client::cookie(0));
}
