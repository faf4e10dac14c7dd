use std::{fs, net::SocketAddr, path::Path, sync::Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{StreamExt as _, channel::mpsc, stream};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pods::{LogRequest, runtime::RuntimeError};

const NODE: &str = "node-1";

/// An authority, which signs whatever it is asked to.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Certificate and key, in PEM.
type Signed = (String, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).expect("an authority"), pem }
    }

    fn sign(&self, user: &str, group: &str) -> Signed {
        let mut params = CertificateParams::new(vec![NODE.to_owned()]).expect("a name");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")).expect("a root");
        roots
    }
}

/// A node to look at.
#[derive(Default)]
struct Scene {
    complaint: Option<String>,
    /// The log of `ns/pod` `main`, once.
    log: Mutex<Option<mpsc::UnboundedReceiver<Result<Bytes, RuntimeError>>>>,
    wishes: Mutex<Vec<LogWish>>,
}

#[async_trait]
impl View for Scene {
    fn pods(&self) -> Vec<Arc<Pod>> {
        let pod = json!({ "metadata": { "name": "web-1", "namespace": "default" } });
        vec![Arc::new(serde_json::from_value(pod).expect("a pod"))]
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn metrics(&self) -> metrics::Metrics {
        metrics::Metrics { pods: 1, ..metrics::Metrics::default() }
    }

    async fn dump(&self) -> Value {
        json!({ "services": [] })
    }

    async fn logs(&self, wish: LogWish) -> Result<LogStream, LogError> {
        let name = wish.pod.clone();
        self.wishes.lock().expect("lock").push(wish);
        match name.as_str() {
            "pod" => Ok(self
                .log
                .lock()
                .expect("lock")
                .take()
                .map_or_else(|| stream::iter([Ok(Bytes::from("one\ntwo\n"))]).boxed(), |log| log.boxed())),
            "waiting" => Err(refusal(400, r#"container "main" in pod "waiting" is waiting to start: x"#)),
            _ => Err(refusal(404, &format!(r#"pods "{name}" not found"#))),
        }
    }
}

fn refusal(code: u16, message: &str) -> LogError {
    LogError { code, message: message.to_owned() }
}

/// A server of a node.
struct Stage {
    authority: Authority,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    scene: Arc<Scene>,
    _folder: TempDir,
}

impl Stage {
    async fn start(scene: Scene) -> Self {
        let (authority, folder) = (Authority::new(), TempDir::new().expect("a folder"));
        let path = folder.path().join("kubeconfig");
        write_kubeconfig(&path, &authority, &authority.sign("system:node:node-1", "system:nodes"));
        let tls = tls(&path).expect("a node can serve");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("bind");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let scene = Arc::new(scene);
        let task = tokio::spawn({
            let (view, stop) = (scene.clone(), stop.clone());
            async move { serve(view, listener, tls, &stop).await }
        });
        Self { authority, address, stop, task, scene, _folder: folder }
    }

    async fn connect(&self, identity: Option<&Signed>) -> std::io::Result<TlsStream<TcpStream>> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.authority.roots());
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                config.with_client_auth_cert(chain, key).expect("an identity")
            }
        };
        let name = ServerName::try_from(NODE).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(self.address).await?).await
    }

    /// Status and body of an answer.
    async fn get(&self, identity: Option<&Signed>, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = self.connect(identity).await?;
        let call = format!("GET {path} HTTP/1.1\r\nHost: {NODE}\r\nConnection: close\r\n\r\n");
        stream.write_all(call.as_bytes()).await?;
        let mut answer = Vec::new();
        // Servers that close without a farewell are no fault here.
        match stream.read_to_end(&mut answer).await {
            Err(error) if answer.is_empty() => return Err(error),
            _ => {}
        }
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Ok((status, unchunk(head, body)))
    }

    async fn get_as_admin(&self, path: &str) -> (u16, String) {
        let admin = self.authority.sign("admin", "system:masters");
        self.get(Some(&admin), path).await.expect("an answer")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn unchunk(head: &str, body: &str) -> String {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let mut lines = body.split("\r\n");
    let mut text = String::new();
    while let (Some(size), Some(piece)) = (lines.next(), lines.next()) {
        assert_eq!(usize::from_str_radix(size, 16).expect("a size"), piece.len());
        text.push_str(piece);
    }
    text
}

fn write_kubeconfig(path: &Path, authority: &Authority, identity: &Signed) {
    let kubeconfig = json!({
        "clusters": [{ "name": "c", "cluster": {
            "server": "https://127.0.0.1:1", "certificate-authority-data": STANDARD.encode(&authority.pem) } }],
        "users": [{ "name": "other", "user": {} }, { "name": "u", "user": {
            "client-certificate-data": STANDARD.encode(&identity.0), "client-key-data": STANDARD.encode(&identity.1) } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } },
            { "name": "y", "context": { "cluster": "c", "user": "other" } }],
        "current-context": "x",
    });
    fs::write(path, kubeconfig.to_string()).expect("written");
}

#[tokio::test]
async fn administrators_and_the_api_server_are_served() {
    let stage = Stage::start(Scene::default()).await;
    for (user, group) in [("admin", "system:masters"), ("kube-apiserver-kubelet-client", "system:masters")] {
        let identity = stage.authority.sign(user, group);
        let answer = stage.get(Some(&identity), "/healthz").await.expect("an answer");
        assert_eq!(answer, (200, "ok".into()), "{user} of {group}");
    }
}

#[tokio::test]
async fn others_of_the_cluster_are_refused() {
    let stage = Stage::start(Scene::default()).await;
    for (user, group) in [
        ("system:node:node-2", "system:nodes"),
        ("jane", "developers"),
        ("system:masters", "x"),
        ("kube-apiserver-kubelet-client", "developers"),
    ] {
        let identity = stage.authority.sign(user, group);
        let (status, text) = stage.get(Some(&identity), "/containerLogs/ns/pod/main").await.expect("an answer");
        assert_eq!(
            (status, text),
            (403, format!("Forbidden (user={user}, verb=get, path=/containerLogs/ns/pod/main)"))
        );
    }
    assert!(stage.scene.wishes.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn strangers_do_not_get_through_the_handshake() {
    let stage = Stage::start(Scene::default()).await;
    assert!(stage.get(None, "/healthz").await.is_err(), "no certificate");
    let stranger = Authority::new().sign("admin", "system:masters");
    assert!(stage.get(Some(&stranger), "/healthz").await.is_err(), "a certificate of another authority");
    assert_eq!(stage.get_as_admin("/healthz").await.0, 200);
}

#[tokio::test]
async fn everything_has_its_path() {
    let stage = Stage::start(Scene { complaint: Some("pod network: no range".into()), ..Scene::default() }).await;
    assert_eq!(stage.get_as_admin("/healthz").await, (500, "pod network: no range".into()));
    let (status, pods) = stage.get_as_admin("/pods").await;
    let pods: Value = serde_json::from_str(&pods).expect("JSON");
    assert_eq!(
        (status, &pods["kind"], &pods["items"][0]["metadata"]["name"]),
        (200, &json!("PodList"), &json!("web-1"))
    );
    let (status, metrics) = stage.get_as_admin("/metrics").await;
    assert!(status == 200 && metrics.contains("nodeplane_pods 1\n"), "{metrics}");
    assert_eq!(stage.get_as_admin("/exec/ns/pod/main").await.0, 404);
}

#[tokio::test]
async fn logs_are_as_wished() {
    let stage = Stage::start(Scene::default()).await;
    let answer = stage.get_as_admin("/containerLogs/ns/pod/main?tailLines=2&previous=true&limitBytes=5").await;
    assert_eq!(answer, (200, "one\ntwo\n".into()));
    let wish = stage.scene.wishes.lock().expect("lock").remove(0);
    assert_eq!((wish.namespace.as_str(), wish.container.as_str()), ("ns", "main"));
    let LogRequest { previous, tail, limit_bytes, .. } = wish.request;
    assert_eq!((previous, tail, limit_bytes), (true, Some(2), Some(5)));
    let refusals = [
        ("/containerLogs/ns/gone/main", 404, r#"pods "gone" not found"#),
        ("/containerLogs/ns/waiting/main", 400, r#"container "main" in pod "waiting" is waiting to start: x"#),
        ("/containerLogs/ns/pod/main?tailLines=x", 400, r#"invalid tailLines: "x""#),
        ("/containerLogs/ns/pod", 404, "the path is /containerLogs/NAMESPACE/POD/CONTAINER"),
    ];
    for (path, status, text) in refusals {
        assert_eq!(stage.get_as_admin(path).await, (status, text.into()), "{path}");
    }
}

#[tokio::test]
async fn a_log_is_sent_as_it_grows() {
    let (lines, log) = mpsc::unbounded();
    let stage = Stage::start(Scene { log: Mutex::new(Some(log)), ..Scene::default() }).await;
    let admin = stage.authority.sign("admin", "system:masters");
    let mut stream = stage.connect(Some(&admin)).await.expect("connected");
    let call = format!("GET /containerLogs/ns/pod/main?follow=true HTTP/1.1\r\nHost: {NODE}\r\n\r\n");
    stream.write_all(call.as_bytes()).await.expect("sent");
    let mut seen = String::new();
    for line in ["first\n", "second\n"] {
        // The next line is written only when the one before has arrived.
        lines.unbounded_send(Ok(Bytes::from(line))).expect("sent");
        while !seen.contains(line) {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.expect("a piece");
            assert!(length > 0, "it ended: {seen}");
            seen.push_str(std::str::from_utf8(&piece[..length]).expect("text"));
        }
    }
}

#[tokio::test]
async fn the_server_ends_although_somebody_follows_a_log() {
    let (_lines, log) = mpsc::unbounded();
    let mut stage = Stage::start(Scene { log: Mutex::new(Some(log)), ..Scene::default() }).await;
    let admin = stage.authority.sign("admin", "system:masters");
    let mut stream = stage.connect(Some(&admin)).await.expect("connected");
    let call = format!("GET /containerLogs/ns/pod/main?follow=true HTTP/1.1\r\nHost: {NODE}\r\n\r\n");
    stream.write_all(call.as_bytes()).await.expect("sent");
    assert!(stream.read(&mut [0; 64]).await.expect("a head") > 0);
    stage.stop.cancel();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), &mut stage.task).await;
    ended.expect("in time").expect("without a panic");
    assert!(TcpStream::connect(stage.address).await.is_err());
}

#[test]
fn a_kubeconfig_without_a_certificate_is_not_one_of_a_node() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("kubeconfig");
    let authority = Authority::new();
    write_kubeconfig(&path, &authority, &authority.sign("system:node:node-1", "system:nodes"));
    let text =
        fs::read_to_string(&path).expect("readable").replace(r#""current-context":"x""#, r#""current-context":"y""#);
    fs::write(&path, text).expect("written");
    let error = tls(&path).expect_err("refused").to_string();
    assert_eq!(error, "the kubeconfig has no client-certificate: it is not one of a node");
    assert!(tls(&folder.path().join("none")).is_err());
}

#[tokio::test]
async fn the_live_state_is_told_on_the_socket_and_to_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = TempDir::new().expect("a folder");
    let path = socket(folder.path());
    // What an agent left that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(dump(&path).await.is_err());
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (path, stop) = (path.clone(), stop.clone());
        async move { serve_admin(Arc::new(Scene::default()), &path, &stop).await }
    });
    let text = loop {
        match dump(&path).await {
            Ok(text) => break text,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), json!({ "services": [] }));
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    stop.cancel();
    task.await.expect("it ends").expect("without an error");
    assert!(!path.exists());
}
