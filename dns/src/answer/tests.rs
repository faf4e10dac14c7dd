use std::collections::BTreeSet;

use super::*;
use crate::{
    golden::{Golden, lines, owners, query},
    zone::snapshot::Snapshot,
};

#[test]
fn golden_questions_have_golden_answers() {
    for golden in Golden::all() {
        let zone = golden.zone();
        for question in &golden.questions {
            let at = format!("{}: {}", golden.file, question.ask);
            let (reply, chase) = match answer(&zone, &question.query()) {
                Verdict::Forward => {
                    assert!(question.forward, "{at} was left to others");
                    continue;
                }
                Verdict::Reply { reply, chase } => (reply, chase),
            };
            assert!(!question.forward, "{at} is for others, but has {reply:?}");
            assert_eq!(reply.code, question.code(), "{at}");
            assert_eq!(lines(&reply.answers), question.answer, "{at}");
            assert_eq!(lines(&reply.additional), question.additional, "{at}");
            assert_eq!(chase.map(|name| name.to_string()), question.chase, "{at}");
            assert!(reply.authoritative && !reply.recursion_available, "{at}");
            if question.chase.is_none() {
                assert_eq!(owners(&reply.authority), question.authority(), "{at}");
            }
        }
    }
}

#[test]
fn a_denial_says_for_how_long() {
    let zone = Golden::of("services").zone();
    let Verdict::Reply { reply, .. } = answer(&zone, &query("nobody.shop.svc.cluster.local A")) else { panic!() };
    assert_eq!(
        lines(&reply.authority),
        ["cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"]
    );
}

#[test]
fn a_long_chain_of_aliases_ends() {
    use nodeplane_api::meta::Key;

    use crate::zone::facts::{ServiceFacts, ServiceKind};
    let alias = |number: usize| {
        let kind = ServiceKind::ExternalName(format!("alias-{}.shop.svc.cluster.local", number + 1));
        (Key::new("shop", format!("alias-{number}")), ServiceFacts { kind, ports: Vec::new() })
    };
    let snapshot = Snapshot { services: (0..50).map(alias).collect(), ..Snapshot::default() };
    let zone = Zone::build(Golden::of("services").settings(), &snapshot, 1, true);
    let Verdict::Reply { reply, chase } = answer(&zone, &query("alias-0.shop.svc.cluster.local A")) else { panic!() };
    assert_eq!((reply.answers.len(), chase), (MAX_CHAIN + 1, None));
}

#[test]
fn a_name_under_another_cluster_domain_is_not_ours() {
    let config = crate::Config {
        listen: vec!["127.0.0.1:53".parse().unwrap()],
        cluster_domain: "Prod.Example.ORG".to_owned(),
        ..crate::Config::default()
    };
    let zone = Zone::build(config.settings().unwrap(), &Snapshot::default(), 1, true);
    assert_eq!(answer(&zone, &query("web.shop.svc.cluster.local A")), Verdict::Forward);
    assert_eq!(answer(&zone, &query("prod.example.org.evil.org A")), Verdict::Forward);
    assert!(matches!(answer(&zone, &query("web.shop.svc.PROD.example.org A")), Verdict::Reply { .. }));
}

#[test]
fn a_label_with_a_dot_in_it_is_no_two_labels() {
    let zone = Golden::of("services").zone();
    let name = Name::from_labels([&b"web.shop"[..], b"svc", b"cluster", b"local"]).unwrap();
    let Verdict::Reply { reply, .. } = answer(&zone, &Query::query(name, RecordType::A)) else { panic!() };
    assert_eq!(reply.code, ResponseCode::NXDomain);
}

#[test]
fn no_name_of_the_cluster_is_for_others() {
    static LABELS: [&str; 12] =
        ["", "web", "shop", "svc", "pod", "_tcp", "_http", "dns", "ns", "xn--a", "*", "1-2-3-4"];
    let pairs = LABELS.iter().flat_map(|a| LABELS.iter().map(move |b| format!("{a}.{b}")));
    let names: BTreeSet<String> = pairs
        .flat_map(|ab| LABELS.iter().map(move |c| format!("{ab}.{c}.cluster.local")))
        .map(|name| name.split('.').filter(|label| !label.is_empty()).collect::<Vec<_>>().join("."))
        .collect();
    for golden in Golden::all() {
        let zone = golden.zone();
        for name in &names {
            for wanted in ["A", "SRV", "PTR", "SOA", "DS", "ANY"] {
                let verdict = answer(&zone, &query(&format!("{name} {wanted}")));
                assert!(matches!(verdict, Verdict::Reply { .. }), "{}: {name} {wanted}", golden.file);
            }
        }
    }
}
