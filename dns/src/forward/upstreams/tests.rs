use super::*;

fn servers(content: &str) -> Vec<String> {
    let ourselves =
        Ourselves { listen: vec!["127.0.0.2:53".parse().unwrap()], ranges: vec!["10.96.0.0/16".parse().unwrap()] };
    name_servers(content, &ourselves).iter().map(ToString::to_string).collect()
}

#[test]
fn a_resolv_conf_is_read_as_its_manual_says() {
    let content = "# generated\n; old style\nsearch example.org\nnameserver 127.0.0.53 # the stub\n\
                   options edns0\n\tnameserver\t::1\nnameservers 127.0.0.9\nnameserver fe80::1%2\nnameserver 127.0.0.4\n";
    assert_eq!(servers(content), ["127.0.0.53:53", "[::1]:53", "[fe80::1%2]:53"]);
}

#[test]
fn servers_that_are_ourselves_or_nonsense_are_left_out() {
    assert_eq!(servers("nameserver 127.0.0.2\nnameserver 10.96.0.10\nnameserver nobody\nnameserver\n"), [""; 0]);
}

#[test]
fn a_list_leads_to_ourselves_no_more_than_a_file_does() {
    let listen: Vec<SocketAddr> = vec!["127.0.0.2:53".parse().unwrap()];
    let ourselves = Ourselves { listen, ranges: vec!["10.96.0.0/16".parse().unwrap()] };
    let list = ["127.0.0.2:53", "10.96.0.10:53", "127.0.0.53:53"].map(|text| text.parse().unwrap());
    let servers = Servers::new(&Upstreams::List(list.to_vec()), ourselves);
    assert_eq!(servers.in_order(), [list[2]]);
}

#[test]
fn the_server_that_answered_comes_first() {
    let list = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(|text| text.parse::<SocketAddr>().unwrap());
    let servers = Servers::new(&Upstreams::List(list.to_vec()), Ourselves::default());
    assert_eq!(servers.in_order(), list);
    servers.prefer(list[1]);
    assert_eq!(servers.in_order(), [list[1], list[2], list[0]]);
}

#[test]
fn a_changed_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resolv.conf");
    fs::write(&path, "nameserver 127.0.0.53\n").unwrap();
    let servers = Servers::new(&Upstreams::ResolvConf(path.clone()), Ourselves::default());
    assert_eq!(servers.in_order(), ["127.0.0.53:53".parse().unwrap()]);
    fs::write(&path, "nameserver 127.0.0.54\n").unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    servers.reread(Instant::now() + FILE_CHECK);
    assert_eq!(servers.in_order(), ["127.0.0.54:53".parse().unwrap()]);
}
