use super::*;

#[test]
fn what_is_told_counts_then_what_is_listened_at() {
    let told = Some(Ipv4Addr::new(10, 0, 0, 1));
    for (listen, told, expected) in [
        ("127.0.0.1:6443", None, None),
        ("[::1]:6443", None, None),
        ("192.0.2.7:6443", None, Some("192.0.2.7")),
        ("[2001:db8::7]:6443", None, None),
        ("127.0.0.1:6443", told, Some("10.0.0.1")),
        ("0.0.0.0:6443", told, Some("10.0.0.1")),
        ("192.0.2.7:6443", told, Some("10.0.0.1")),
    ] {
        let expected = expected.map(|text| text.parse().expect("an address"));
        assert_eq!(choose(listen.parse().expect("an address"), told), expected, "{listen} {told:?}");
    }
}

#[test]
fn a_server_at_all_addresses_is_dialled_at_one() {
    let told = Some(Ipv4Addr::new(10, 0, 0, 1));
    for (listen, told, expected) in [
        ("0.0.0.0:6443", None, "127.0.0.1:6443"),
        ("[::]:6443", None, "127.0.0.1:6443"),
        ("0.0.0.0:6443", told, "10.0.0.1:6443"),
        ("127.0.0.1:6443", told, "127.0.0.1:6443"),
        ("192.0.2.7:8443", None, "192.0.2.7:8443"),
    ] {
        assert_eq!(dialled(listen.parse().expect("an address"), told).to_string(), expected);
    }
    assert_eq!(reached_at("127.0.0.1:6443".parse().expect("an address"), told).to_string(), "10.0.0.1:6443");
}

#[test]
fn the_default_route_never_leads_to_ourselves() {
    // A machine without a route outside has none; one with a route has an address of its own.
    if let Some(address) = of_default_route() {
        assert!(!address.is_loopback() && !address.is_unspecified());
        UdpSocket::bind((address, 0)).expect("an address of this machine");
    }
}
