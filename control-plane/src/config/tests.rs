use clap::Parser;

use super::*;

fn parse(line: &str) -> Result<Flags, String> {
    let words = std::iter::once("nodeplane-server").chain(line.split_whitespace());
    Flags::try_parse_from(words).map_err(|error| error.to_string())
}

/// The configuration that a command line gives, or what it says instead.
fn config(line: &str) -> Result<Config, String> {
    Config::try_from(parse(line)?.run).map_err(|error| error.to_string())
}

fn refused(line: &str) -> String {
    config(line).expect_err(line)
}

#[test]
fn without_flags_it_is_a_cluster_of_one_server() {
    let config = config("").unwrap();
    assert_eq!(config.state.path(), Path::new("/var/lib/nodeplane/server"));
    assert_eq!(config.listen.to_string(), "0.0.0.0:6443");
    assert_eq!(config.store, StoreConfig::Embedded);
    assert_eq!(config.prefix, "/registry");
    assert_eq!(
        (config.services.to_string().as_str(), config.pods.to_string().as_str()),
        ("10.96.0.0/16", "10.244.0.0/16")
    );
    assert_eq!(
        (config.server_ip.to_string().as_str(), config.dns_ip.to_string().as_str()),
        ("10.96.0.1", "10.96.0.10")
    );
    assert_eq!(config.advertise, None);
    let issuer = ["https://kubernetes.default.svc.cluster.local"];
    assert_eq!(
        (&config.issuers[..], &config.audiences[..]),
        (&issuer.map(str::to_owned)[..], &issuer.map(str::to_owned)[..])
    );
}

#[test]
fn tokens_are_for_their_issuers_unless_something_else_is_said() {
    let config = config("--service-account-issuer https://new --service-account-issuer old").unwrap();
    assert_eq!((config.issuers.clone(), config.audiences), (vec!["https://new".into(), "old".into()], config.issuers));
    let config = self::config("--api-audiences api,vault").unwrap();
    assert_eq!(config.audiences, ["api", "vault"]);
    assert!(refused_flag("--service-account-issuer https://").contains("write a URL such as https://HOST, or a name"));
}

fn refused_flag(line: &str) -> String {
    parse(line).expect_err(line)
}

#[test]
fn own_addresses_follow_the_service_range() {
    let config = config("--service-cidr 192.168.128.0/28 --cluster-dns 192.168.128.5").unwrap();
    assert_eq!(config.server_ip.to_string(), "192.168.128.1");
    assert_eq!(config.dns_ip.to_string(), "192.168.128.5");
}

#[test]
fn a_bad_value_is_named_with_what_would_be_right() {
    for (line, flag, sentence) in [
        (
            "--service-cidr 10.96.0.0",
            "--service-cidr",
            "there is no prefix length; write an IPv4 range such as 10.96.0.0/16",
        ),
        ("--service-cidr 10.96.0.0/33", "--service-cidr", "\"33\" is no prefix length from 0 to 32"),
        ("--service-cidr fd00::/64", "--service-cidr", "\"fd00::\" is no IPv4 address"),
        ("--cluster-cidr 10.244.3.0/16", "--cluster-cidr", "write the range as 10.244.0.0/16"),
        (
            "--store etcd --etcd-endpoints 127.0.0.1:2379",
            "--etcd-endpoints",
            "write http://HOST:PORT or https://HOST:PORT",
        ),
        ("--store paper", "--store", "embedded, etcd"),
        ("--etcd-prefix registry", "--etcd-prefix", "write a path such as /registry"),
        ("--etcd-keyfile k", "--etcd-certfile", "required"),
        ("--etcd-user u", "--etcd-password-file", "required"),
        ("--etcd-compaction-interval 5", "--etcd-compaction-interval", "write a duration such as 5m"),
        ("--event-ttl 0s", "--event-ttl", "write at least 1s"),
        ("--tls-san API_1", "--tls-san", "write a host name in lower case"),
        ("--listen 6443", "--listen", "invalid socket address"),
        ("kubeconfig admin --server 127.0.0.1:6443 --out f", "--server", "write https://HOST:PORT"),
    ] {
        let said = parse(line).expect_err(line);
        assert!(said.contains(flag) && said.contains(sentence), "{line}: {said}");
    }
}

#[test]
fn flags_that_do_not_fit_together_are_refused() {
    for (line, sentence) in [
        (
            "--service-cidr 10.96.0.0/30",
            "--service-cidr 10.96.0.0/30: the range is too small; choose a prefix length from 8 to 28",
        ),
        (
            "--cluster-cidr 10.0.0.0/7",
            "--cluster-cidr 10.0.0.0/7: the range is too large; choose a prefix length from 8 to 24",
        ),
        (
            "--service-cidr 10.244.8.0/24",
            "--service-cidr 10.244.8.0/24: the range shares addresses with --cluster-cidr 10.244.0.0/16; \
             choose ranges that do not overlap",
        ),
        (
            "--cluster-dns 10.97.0.10",
            "--cluster-dns 10.97.0.10: the address is not in --service-cidr 10.96.0.0/16; choose another one, such as \
             10.96.0.10",
        ),
        (
            "--cluster-dns 10.96.0.1",
            "--cluster-dns 10.96.0.1: the address is the API server's own; choose another one, such as 10.96.0.10",
        ),
        (
            "--cluster-dns 10.96.255.255",
            "--cluster-dns 10.96.255.255: the first and the last address of a range are never given out; choose another \
             one, such as 10.96.0.10",
        ),
        (
            "--advertise-address 127.0.0.1",
            "--advertise-address 127.0.0.1: a loopback address means another machine on every machine; give an address \
             of this machine, or leave the flag out",
        ),
        ("--etcd-endpoints http://127.0.0.1:1", "--etcd-endpoints: the store is embedded; add --store etcd"),
        ("--store etcd", "--etcd-endpoints: nothing says where etcd is; add --etcd-endpoints http://HOST:PORT"),
        (
            "--store etcd --etcd-endpoints https://127.0.0.1:1",
            "--etcd-endpoints https://127.0.0.1:1: nothing says who has signed etcd's certificates; add --etcd-cafile",
        ),
        (
            "--store etcd --etcd-endpoints http://127.0.0.1:1 --etcd-cafile ca",
            "--etcd-endpoints http://127.0.0.1:1: certificates are for https; write https://, or drop --etcd-cafile",
        ),
    ] {
        assert_eq!(refused(line), sentence);
    }
}

#[test]
fn etcd_is_reached_as_the_flags_say() {
    let config = config(
        "--store etcd --etcd-endpoints https://a:2379,https://b:2379 --etcd-prefix /clusters/one/ --etcd-cafile ca \
         --etcd-certfile c --etcd-keyfile k --etcd-user u --etcd-password-file p --etcd-compaction-interval 1h0m30s",
    )
    .unwrap();
    assert_eq!(config.prefix, "/clusters/one");
    let expected = EtcdConfig {
        endpoints: vec!["https://a:2379".to_owned(), "https://b:2379".to_owned()],
        tls: Some(("ca".into(), Some(("c".into(), "k".into())))),
        user: Some(("u".to_owned(), "p".into())),
    };
    assert_eq!(config.store, StoreConfig::Etcd(expected));
    assert_eq!(config.compact_every, Some(Duration::from_secs(3630)));
}

#[test]
fn times_are_written_as_elsewhere_in_kubernetes() {
    let plain = config("").unwrap();
    assert_eq!(plain.compact_every, Some(Duration::from_secs(300)));
    assert_eq!(plain.event_life, Duration::from_secs(3600));
    for (text, seconds) in [("30s", 30.0), ("1h0m0s", 3600.0), ("1.5h", 5400.0), ("90m", 5400.0), ("2s500ms", 2.5)] {
        let config = config(&format!("--event-ttl {text}")).unwrap();
        assert_eq!(config.event_life, Duration::from_secs_f64(seconds), "{text}");
    }
    assert_eq!(config("--etcd-compaction-interval 0").unwrap().compact_every, None);
    for text in ["", "h", "1", "1d", "5 m", "m5", "1e3s", "99999999999999999999h"] {
        assert!(flags::duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_copy_goes_from_one_store_into_the_other() {
    let copy = |line: &str| {
        let flags = parse(&format!("store copy {line}")).expect(line);
        let Some(Verb::Store { what: StoreVerb::Copy(flags) }) = flags.verb else { panic!("{:?}", flags.verb) };
        CopyConfig::try_from(flags).map_err(|error| error.to_string())
    };
    let config = copy("--from embedded --to etcd --state-dir /s --etcd-endpoints http://a:1 --overwrite").unwrap();
    assert_eq!((config.from, config.overwrite, config.prefix.as_str()), (StoreKind::Embedded, true, "/registry"));
    assert_eq!(config.state.store(), Path::new("/s/store.redb"));
    assert_eq!(
        copy("--from etcd --to etcd --etcd-endpoints http://a:1").unwrap_err(),
        "--to: source and target are the same; name the other store"
    );
    assert!(copy("--from etcd --to embedded").unwrap_err().contains("--etcd-endpoints"));
    assert!(parse("store copy --from etcd").expect_err("no target").contains("--to"));
}

#[test]
fn a_kubeconfig_is_for_an_administrator_or_a_node() {
    let flags = parse("kubeconfig node n1 --server https://127.0.0.1:6443/ --state-dir /s --out /o").unwrap();
    let Some(Verb::Kubeconfig { who: Who::Node { name, flags } }) = flags.verb else { panic!("{:?}", flags.verb) };
    assert_eq!((name.as_str(), flags.server.as_str()), ("n1", "https://127.0.0.1:6443"));
    assert_eq!((flags.state_dir, flags.out), (PathBuf::from("/s"), PathBuf::from("/o")));
    let flags = parse("kubeconfig admin --out /o").unwrap();
    assert!(matches!(flags.verb, Some(Verb::Kubeconfig { who: Who::Admin(_) })));
    assert!(parse("kubeconfig admin").expect_err("no file").contains("--out"));
}

#[test]
fn every_flag_has_help() {
    use clap::CommandFactory;
    fn check(command: &clap::Command) {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    let command = Flags::command();
    command.clone().debug_assert();
    check(&command);
}

#[test]
fn bounds_are_upstreams_unless_flags_say_otherwise() {
    let config_of = |line| config(line).unwrap();
    assert_eq!((config_of("").bounds, config_of("").shutdown_delay), (Bounds::default(), Duration::ZERO));
    let line = "--max-requests-inflight 3 --max-mutating-requests-inflight 0 --request-timeout 1m30s \
                --min-request-timeout 60 --shutdown-delay-duration 500ms";
    let seconds = Duration::from_secs;
    let expected = Bounds { reading: 3, writing: 0, request: seconds(90), watch: seconds(60) };
    assert_eq!((config_of(line).bounds, config_of(line).shutdown_delay), (expected, Duration::from_millis(500)));
    for wrong in ["--request-timeout 0s", "--request-timeout soon", "--min-request-timeout 0", "--log-format xml"] {
        let (flag, _) = wrong.split_once(' ').unwrap();
        let words = parse(wrong).unwrap_err();
        assert!(words.contains(flag), "{words}");
    }
}
