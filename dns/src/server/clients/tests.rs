use super::*;

#[test]
fn pods_and_the_machine_itself_may_ask_and_nobody_else() {
    let own = "10.244.3.1".parse().unwrap();
    let clients = Clients::new(vec!["10.244.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()], vec![own]);
    let may_ask = |client: &str| clients.may_ask(client.parse().unwrap());
    for client in ["10.244.3.1", "10.244.9.7", "::ffff:10.244.9.7", "fd00::7", "127.0.0.9", "::1"] {
        assert!(may_ask(client), "{client}");
    }
    for client in ["192.0.2.7", "10.245.0.1", "10.96.0.10", "fd01::7", "::ffff:192.0.2.7"] {
        assert!(!may_ask(client), "{client}");
    }
    assert!(!Clients::default().may_ask("10.244.9.7".parse().unwrap()));
}
