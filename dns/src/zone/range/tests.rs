use super::*;

fn read(name: &str, zones: &[&str]) -> Option<(Spells, Option<usize>)> {
    let zones: Vec<Range> = zones.iter().map(|zone| zone.parse().unwrap()).collect();
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    reverse_name(&labels, &zones).map(|found| (found.spells, found.apex))
}

fn address(text: &str) -> Spells {
    Spells::Address(text.parse().unwrap())
}

#[test]
fn ranges_are_masked_and_checked() {
    assert_eq!("10.96.7.1/16".parse::<Range>().unwrap().to_string(), "10.96.0.0/16");
    assert_eq!("0.0.0.0/0".parse::<Range>().unwrap().to_string(), "0.0.0.0/0");
    assert_eq!("fd00::7/64".parse::<Range>().unwrap().to_string(), "fd00::/64");
    for wrong in ["10.96.0.0", "10.96.0.0/33", "x/8", "::/129", ""] {
        assert_eq!(wrong.parse::<Range>(), Err(RangeError(wrong.to_owned())));
    }
}

#[test]
fn names_above_or_outside_the_zone_are_not_ours() {
    let zones = ["10.96.0.0/16"];
    assert_eq!(read("10.in-addr.arpa", &zones), Some((Spells::Prefix, None)));
    assert_eq!(read("in-addr.arpa", &zones), Some((Spells::Prefix, None)));
    assert_eq!(read("1.0.97.10.in-addr.arpa", &zones), Some((address("10.97.0.1"), None)));
    assert_eq!(read("example.org", &zones), None);
    assert_eq!(read("arpa", &zones), None);
}

#[test]
fn names_inside_the_zone_know_its_apex() {
    let zones = ["10.96.0.0/16"];
    assert_eq!(read("96.10.in-addr.arpa", &zones), Some((Spells::Prefix, Some(4))));
    assert_eq!(read("0.96.10.IN-ADDR.arpa", &zones), Some((Spells::Prefix, Some(4))));
    assert_eq!(read("1.0.96.10.in-addr.arpa", &zones), Some((address("10.96.0.1"), Some(4))));
    assert_eq!(read("x.0.96.10.in-addr.arpa", &zones), Some((Spells::Nonsense, Some(4))));
    assert_eq!(read("9.1.0.96.10.in-addr.arpa", &zones), Some((Spells::Nonsense, Some(4))));
    assert_eq!(read("01.0.96.10.in-addr.arpa", &zones), Some((Spells::Nonsense, Some(4))));
}

#[test]
fn a_prefix_between_octets_is_many_zones() {
    let zones = ["10.96.0.0/12"];
    assert_eq!(read("1.0.111.10.in-addr.arpa", &zones), Some((address("10.111.0.1"), Some(4))));
    assert_eq!(read("112.10.in-addr.arpa", &zones), Some((Spells::Prefix, None)));
}

#[test]
fn ipv6_names_are_nibbles() {
    let one = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    assert_eq!(read(&one, &["fd00::/16"]), Some((address("fd00::1"), Some(6))));
    assert_eq!(read("0.0.d.f.ip6.arpa", &["fd00::/16"]), Some((Spells::Prefix, Some(6))));
    assert_eq!(read("g.0.0.d.f.ip6.arpa", &["fd00::/16"]), Some((Spells::Nonsense, Some(6))));
}
