use super::*;

fn config() -> Config {
    Config { listen: vec!["127.0.0.1:53".parse().unwrap()], ..Config::default() }
}

#[test]
fn the_defaults_need_only_an_address() {
    let settings = config().settings().unwrap();
    assert_eq!(settings.domain.to_string(), "cluster.local.");
    assert_eq!(settings.name_server.to_string(), "ns.dns.cluster.local.");
    assert_eq!((settings.ttl, settings.pods), (5, PodNames::Insecure));
    assert_eq!(Config::default().settings().unwrap_err(), ConfigError::NoListener);
}

#[test]
fn the_domain_is_written_in_one_way() {
    for text in ["Prod.Example.ORG", "prod.example.org."] {
        let settings = Config { cluster_domain: text.to_owned(), ..config() }.settings().unwrap();
        assert_eq!(settings.domain.to_string(), "prod.example.org.");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let long = ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(58)].join(".");
    for domain in ["", ".", "a..b", &"x".repeat(64), &long] {
        let error = Config { cluster_domain: domain.to_owned(), ..config() }.settings().unwrap_err();
        assert!(matches!(error, ConfigError::Domain { .. }), "{domain:?}: {error}");
        assert!(error.to_string().starts_with(&format!("cluster domain {domain:?}: ")), "{error}");
    }
    for wildcard in ["0.0.0.0:53", "[::]:53"] {
        let listen = vec!["127.0.0.1:53".parse().unwrap(), wildcard.parse().unwrap()];
        let error = Config { listen, ..config() }.settings().unwrap_err();
        assert_eq!(error, ConfigError::Wildcard(wildcard.parse().unwrap()));
    }
    assert!(Config { ttl: MAX_TTL, ..config() }.settings().is_ok());
    assert_eq!(Config { ttl: MAX_TTL + 1, ..config() }.settings().unwrap_err(), ConfigError::Ttl(MAX_TTL + 1));
}

#[test]
fn a_name_server_that_leads_back_to_us_is_refused() {
    for circle in ["127.0.0.1:53", "10.96.0.10:53", "10.244.3.1:5353"] {
        let circle = circle.parse().unwrap();
        let upstreams = Upstreams::List(vec!["127.0.0.53:53".parse().unwrap(), circle]);
        let reverse_zones = vec!["10.96.0.0/16".parse().unwrap(), "10.244.0.0/16".parse().unwrap()];
        let error = Config { upstreams, reverse_zones, ..config() }.settings().unwrap_err();
        assert_eq!(error, ConfigError::Circle(circle));
        assert!(error.to_string().starts_with(&format!("name server {circle} would be asked in a circle")), "{error}");
    }
}
