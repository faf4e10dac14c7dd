//! What the program refuses, and what it says then.

use std::net::TcpListener;

use crate::bed::{Server, output};

/// The last words of a program that refuses.
fn refusal(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_store_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let state = dir.path().join("server");
    let said = refusal(&["--listen", "127.0.0.1:0", "--state-dir", state.to_str().unwrap()]);
    let expected = format!(
        "error: {} is in use by another server; stop that server, or give this one a --state-dir of its own",
        state.join("store.redb").display()
    );
    assert_eq!(said, expected);
    // The first one never noticed.
    assert!(server.stop().0.success());
}

#[test]
fn a_port_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&["--listen", &address, "--state-dir", dir.path().to_str().unwrap()]);
    let expected = format!("error: --listen {address}: cannot listen there; is another server running?: ");
    assert!(said.starts_with(&expected) && said.contains("in use"), "{said}");
}

#[test]
fn an_etcd_that_is_away_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let state = dir.path().to_str().unwrap();
    let said = refusal(&["--listen", "127.0.0.1:0", "--state-dir", state, "--store", "etcd", "--etcd-endpoints", &url]);
    assert!(said.starts_with(&format!("error: --etcd-endpoints {url}: is etcd running there?: ")), "{said}");
}

#[test]
fn bad_flags_say_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let run = ["--listen", "127.0.0.1:0", "--state-dir", dir.path().to_str().unwrap()];
    let said = refusal(&[&run[..], &["--cluster-dns", "10.97.0.10"]].concat());
    let expected = "error: --cluster-dns 10.97.0.10: the address is not in --service-cidr 10.96.0.0/16; choose another \
                    one, such as 10.96.0.10";
    assert_eq!(said, expected);
    let said = refusal(&[&run[..], &["--log", "server=loud"]].concat());
    assert!(said.starts_with("error: --log server=loud: write levels such as info or debug,kube=warn"), "{said}");
}

#[test]
fn a_kubeconfig_needs_the_authority_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let (state, out) = (dir.path().join("none"), dir.path().join("out"));
    let (state, out) = (state.to_str().unwrap(), out.to_str().unwrap());
    let said = refusal(&["kubeconfig", "node", "n1", "--state-dir", state, "--out", out]);
    let expected = format!(
        "error: --state-dir {state}: there is no certificate authority; start the server with this directory first"
    );
    assert_eq!(said, expected);
    assert!(!std::path::Path::new(state).exists());
    let said = refusal(&["kubeconfig", "node", "Node_1", "--state-dir", state, "--out", out]);
    assert!(
        said.starts_with("error: \"Node_1\" cannot be the name of a node: a lowercase RFC 1123 subdomain"),
        "{said}"
    );
    for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc.cluster.local", "localhost"] {
        let said = refusal(&["kubeconfig", "node", name, "--state-dir", state, "--out", out]);
        assert_eq!(said, format!("error: {name:?} cannot be the name of a node: it is a name of the API server"));
    }
}
