use super::*;

fn place_of(name: &str) -> Place<'_> {
    let labels: Vec<&[u8]> = name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
    place(&labels)
}

#[test]
fn every_form_has_its_place() {
    let key = || "web.shop".to_owned();
    assert_eq!(place_of(""), Place::Apex);
    assert_eq!(place_of("DNS-version"), Place::Version);
    assert_eq!(place_of("SVC"), Place::Branch);
    assert_eq!(place_of("ns.dns"), Place::NameServer);
    assert_eq!(place_of("shop.svc"), Place::Namespace("shop".to_owned()));
    assert_eq!(place_of("shop.pod"), Place::Namespace("shop".to_owned()));
    assert_eq!(place_of("1-2-3-4.shop.pod"), Place::PodAddress { label: b"1-2-3-4", namespace: "shop".to_owned() });
    assert_eq!(place_of("Web.Shop.svc"), Place::Service(key()));
    assert_eq!(place_of("web-0.web.shop.svc"), Place::Endpoint { label: b"web-0", key: key() });
    assert_eq!(place_of("_TCP.web.shop.svc"), Place::Protocol { protocol: Protocol::Tcp, key: key() });
    assert_eq!(
        place_of("_http._udp.web.shop.svc"),
        Place::Port { port: "http".to_owned(), protocol: Protocol::Udp, key: key() }
    );
}

#[test]
fn other_forms_are_nowhere() {
    for name in [
        "web",
        "web.shop",
        "x.ns.dns",
        "x.dns",
        "_x.web.shop.svc",
        "http._tcp.web.shop.svc",
        "_http.tcp.web.shop.svc",
        "a._http._tcp.web.shop.svc",
        "a.1-2-3-4.shop.pod",
        "x.dns-version",
    ] {
        assert_eq!(place_of(name), Place::Nowhere, "{name}");
    }
    assert_eq!(place(&[b"a.b", b"c", b"svc"]), Place::Nowhere, "a dot inside a label separates nothing");
    assert_eq!(place(&[b"\xff", b"c", b"svc"]), Place::Nowhere);
}
