//! The authority on disk, and real handshakes over memory pipes.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, thread};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

fn sans() -> Vec<San> {
    ["127.0.0.1", "localhost", "10.96.0.1", "::1"].map(San::from).to_vec()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_second_start_uses_what_the_first_one_made() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("pki");
    let (first, second) = (Pki::open(&dir).unwrap(), Pki::open(&dir).unwrap());
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(first.serving(&sans()).unwrap(), second.serving(&sans()).unwrap());
    assert_eq!(first.client("u", &["g"]).unwrap(), second.client("u", &["g"]).unwrap());
    assert_eq!(first.node("n1").unwrap(), second.node("n1").unwrap());
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_certificate_that_says_something_else_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    let before = pki.serving(&sans()).unwrap();
    let after = pki.serving(&sans()[..2]).unwrap();
    assert_ne!(before, after);
    assert_ne!(pki.client("u", &["g"]).unwrap(), pki.client("u", &["h"]).unwrap());
    assert_ne!(pki.client("u", &["h"]).unwrap(), pki.client("u", &[]).unwrap());
}

#[test]
fn a_certificate_is_renewed_before_it_expires_and_when_it_is_broken() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    let request = Request {
        user: "kube-apiserver".into(),
        group: None,
        sans: sans().into_iter().collect(),
        client_auth: false,
        server_auth: true,
    };
    let now = OffsetDateTime::now_utc();
    let identity = pki.serving(&sans()).unwrap();
    assert!(request.is_met_by(&identity, pki.ca_pem(), now));
    assert!(request.is_met_by(&identity, pki.ca_pem(), now + Duration::days(334)));
    assert!(!request.is_met_by(&identity, pki.ca_pem(), now + Duration::days(336)));
    assert!(!request.is_met_by(&identity, pki.ca_pem(), now - Duration::days(1)));
    let mixed = Identity { key_pem: pki.node("n1").unwrap().key_pem, ..identity.clone() };
    assert!(!request.is_met_by(&mixed, pki.ca_pem(), now));
    let other_dir = TempDir::new().unwrap();
    let other = Pki::open(other_dir.path()).unwrap();
    assert!(!request.is_met_by(&identity, other.ca_pem(), now));

    fs::write(dir.path().join("apiserver.pem"), "half a file").unwrap();
    let renewed = pki.serving(&sans()).unwrap();
    assert!(request.is_met_by(&renewed, pki.ca_pem(), now));
}

#[test]
fn the_authority_is_never_replaced() {
    let dir = TempDir::new().unwrap();
    let key = dir.path().join("ca.key");
    drop(Pki::open(dir.path()).unwrap());
    let before = fs::read(&key).unwrap();
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    drop(Pki::open(dir.path()).unwrap());
    assert_eq!(fs::read(&key).unwrap(), before, "a lost certificate is made again for the same key");

    fs::write(&key, "no key").unwrap();
    assert!(matches!(Pki::open(dir.path()), Err(PkiError::Authority { .. })));
    fs::remove_file(&key).unwrap();
    assert!(matches!(Pki::open(dir.path()), Err(PkiError::Authority { .. })));
    let other = TempDir::new().unwrap();
    drop(Pki::open(other.path()).unwrap());
    fs::copy(other.path().join("ca.key"), &key).unwrap();
    assert!(matches!(Pki::open(dir.path()), Err(PkiError::Authority { .. })));
}

#[test]
fn many_processes_opening_at_once_agree_on_one_authority() {
    let dir = TempDir::new().unwrap();
    let open = || Pki::open(dir.path()).and_then(|pki| Ok((pki.ca_pem().to_owned(), pki.node("n1")?))).unwrap();
    let made: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|each| *each == made[0]));
}

#[test]
fn names_that_leave_the_directory_and_second_groups_are_refused() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    assert!(matches!(pki.client("../x", &[]), Err(PkiError::User(_))));
    assert!(matches!(pki.client("", &[]), Err(PkiError::User(_))));
    assert!(matches!(pki.node("a/b"), Err(PkiError::User(_))));
    assert!(matches!(pki.client("u", &["a", "b"]), Err(PkiError::Groups(2))));
}

#[test]
fn a_kubeconfig_is_private_whole_and_only_rewritten_when_it_changes() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(&dir.path().join("pki")).unwrap();
    let identity = pki.client("kubernetes-admin", &["system:masters"]).unwrap();
    let config = pki.kubeconfig("kubernetes-admin", &identity, "https://127.0.0.1:6443");
    let path = dir.path().join("admin.kubeconfig");
    config.write(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    let read = kube::config::Kubeconfig::read_from(&path).unwrap();
    assert_eq!(read.current_context.as_deref(), Some("kubernetes-admin@nodeplane"));
    assert_eq!(read.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("https://127.0.0.1:6443"));

    let made = fs::metadata(&path).unwrap().modified().unwrap();
    config.write(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
    Kubeconfig { server: "https://127.0.0.1:7443".into(), ..config }.write(&path).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("https://127.0.0.1:7443"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
}

/// What the server learns of its client, or the side that failed.
async fn handshake(server: ServerConfig, client: ClientConfig, name: &str) -> Result<Option<String>, String> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await.map_err(|e| format!("server: {e}"))?;
        let certificates = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        stream.write_all(b"x").await.map_err(|e| format!("server: {e}"))?;
        Ok::<_, String>(certificates.map(|chain| {
            let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
            leaf.subject().to_string()
        }))
    };
    let dial = async {
        let connected = TlsConnector::from(Arc::new(client)).connect(name, near).await;
        let mut stream = connected.map_err(|e| format!("client: {e}"))?;
        stream.read_u8().await.map_err(|e| format!("client: {e}"))
    };
    let (served, dialed) = tokio::join!(serve, dial);
    dialed.and(served)
}

#[tokio::test]
async fn servers_know_their_clients_and_clients_their_servers() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    let serving = pki.serving(&sans()).unwrap();
    let admin = pki.client("kubernetes-admin", &["system:masters"]).unwrap();
    let server = || pki.server_config(&serving).unwrap();
    let client = || pki.client_config(&admin).unwrap();
    for name in ["127.0.0.1", "localhost", "::1"] {
        let who = handshake(server(), client(), name).await.unwrap().unwrap();
        assert_eq!(who, "O=system:masters, CN=kubernetes-admin");
    }
    let error = handshake(server(), client(), "elsewhere").await.unwrap_err();
    assert!(error.starts_with("client: ") && error.contains("elsewhere"), "{error}");

    let node = pki.node("n1").unwrap();
    let agent = pki.server_config(&node).unwrap();
    assert!(handshake(agent, client(), "n1").await.unwrap().is_some());
    let as_node = pki.client_config(&node).unwrap();
    let who = handshake(server(), as_node, "localhost").await.unwrap().unwrap();
    assert_eq!(who, "O=system:nodes, CN=system:node:n1");
}

#[tokio::test]
async fn a_client_without_certificate_gets_in_and_one_of_another_authority_does_not() {
    let (dir, other_dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (pki, other) = (Pki::open(dir.path()).unwrap(), Pki::open(other_dir.path()).unwrap());
    let serving = pki.serving(&sans()).unwrap();
    let anonymous = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(pki.roots().unwrap())
        .with_no_client_auth();
    let anonymous = handshake(pki.server_config(&serving).unwrap(), anonymous, "localhost").await;
    assert_eq!(anonymous, Ok(None));

    let stranger = other.client("kubernetes-admin", &["system:masters"]).unwrap();
    let stranger = pki.client_config(&stranger).unwrap();
    let refused = handshake(pki.server_config(&serving).unwrap(), stranger, "localhost").await;
    assert!(refused.is_err(), "{refused:?}");
}
