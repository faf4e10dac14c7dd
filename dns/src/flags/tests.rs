use super::*;

const NEEDED: [&str; 3] = ["nodeplane-dns", "--server=http://127.0.0.1:8001", "--listen=127.0.0.1:53"];

fn parsed(more: &[&str]) -> Result<Config, String> {
    let flags = Flags::try_parse_from(NEEDED.iter().chain(more)).map_err(|error| error.to_string())?;
    Ok(flags.config())
}

#[test]
fn the_defaults_are_those_of_a_cluster() {
    let config = parsed(&[]).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:53".parse().unwrap()]);
    assert_eq!((config.cluster_domain.as_str(), config.ttl, config.workers), ("cluster.local", 5, 1));
    assert_eq!(config.upstreams, Upstreams::ResolvConf("/etc/resolv.conf".into()));
    assert_eq!(config.pods, PodNames::Insecure);
    let ranges: Vec<String> = config.reverse_zones.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.96.0.0/16", "10.244.0.0/16"]);
    assert_eq!(config.clients, ["10.244.0.0/16".parse().unwrap()]);
    config.settings().unwrap();
}

#[test]
fn more_may_be_allowed_to_ask() {
    let config = parsed(&["--allow=192.0.2.0/24", "--allow=fd00::/8", "--pod-cidr=10.9.0.0/16"]).unwrap();
    assert_eq!(config.clients, ["10.9.0.0/16", "192.0.2.0/24", "fd00::/8"].map(|range| range.parse().unwrap()));
}

#[test]
fn name_servers_may_leave_out_the_port() {
    let config = parsed(&["--upstream=127.0.0.53", "--upstream=[::1]:5353", "--no-pod-names"]).unwrap();
    let list = ["127.0.0.53:53", "[::1]:5353"].map(|text| text.parse().unwrap());
    assert_eq!(config.upstreams, Upstreams::List(list.to_vec()));
    assert_eq!(config.pods, PodNames::Disabled);
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(parsed(&["--upstream=nobody"]).unwrap_err().contains("is not ADDR or ADDR:PORT"));
    assert!(parsed(&["--service-cidr=10.96.0.0"]).unwrap_err().contains("is not a range of addresses"));
    assert!(parsed(&["--kubeconfig=x"]).unwrap_err().contains("cannot be used with"));
    assert!(Flags::try_parse_from(["nodeplane-dns", "--listen=127.0.0.1:53"]).is_err());
    assert!(Flags::try_parse_from(&NEEDED[..2]).is_err());
}
