//! Who gets in, and under which names.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{Api, Client, api::ListParams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bed::{Server, bearer, client, output, token};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What a path answers: the body, or the code of the refusal.
async fn ask(client: &Client, path: &str) -> Result<String, u16> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    client.request_text(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{path}: {other}"),
    })
}

#[tokio::test]
async fn the_administrator_finds_a_ready_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = server.client().await;
    assert_eq!(ask(&admin, "/readyz").await.unwrap(), "ok");
    let namespaces = Api::<Namespace>::all(admin.clone()).list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = namespaces.items.iter().filter_map(|namespace| namespace.metadata.name.as_deref()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let kubernetes = Api::<Service>::namespaced(admin, "default").get("kubernetes").await.unwrap();
    let spec = kubernetes.spec.unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("10.96.0.1"));
    let target = spec.ports.unwrap()[0].target_port.clone();
    assert_eq!(
        target,
        Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(server.address.port().into()))
    );
}

#[tokio::test]
async fn secrets_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let state = dir.path().join("server");
    assert_eq!((mode(&state), mode(&state.join("pki"))), (0o700, 0o700));
    for file in ["admin.kubeconfig", "store.redb", "pki/ca.key", "pki/sa.key", "pki/apiserver.pem"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    let before = fs::read(server.kubeconfig()).unwrap();
    drop(server);
    // The same keys after a restart; only the port is another one.
    let server = Server::start(dir.path(), &[]);
    let after = fs::read_to_string(server.kubeconfig()).unwrap();
    let without_port = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("server:")).map(str::to_owned).collect()
    };
    assert_eq!(without_port(&after), without_port(&String::from_utf8(before).unwrap()));
    assert_eq!(ask(&server.client().await, "/readyz").await.unwrap(), "ok");
}

#[tokio::test]
async fn a_stranger_gets_health_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let stranger = server.stranger().await;
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(ask(&stranger, path).await.unwrap(), "ok", "{path}");
    }
    for path in ["/api", "/apis", "/api/v1/namespaces", "/apis/apps/v1/deployments", "/openapi/v3", "/", "/nosuch"] {
        assert_eq!(ask(&stranger, path).await, Err(401), "{path}");
    }
}

#[tokio::test]
async fn the_certificate_names_the_server_as_pods_and_flags_do() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--tls-san", "api.example.com", "--tls-san", "192.0.2.9"]);
    for name in [
        "localhost",
        "127.0.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "10.96.0.1",
        "api.example.com",
        "192.0.2.9",
    ] {
        assert_eq!(ask(&server.client_at(name).await, "/readyz").await.unwrap(), "ok", "{name}");
    }
    let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
    let wrong = server.client_at("example.org").await.request_text(request).await.unwrap_err();
    assert!(matches!(wrong, kube::Error::HyperError(_) | kube::Error::Service(_)), "{wrong}");
}

#[tokio::test]
async fn a_node_gets_a_kubeconfig_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (state, out) = (dir.path().join("server"), dir.path().join("node.kubeconfig"));
    let url = format!("https://{}", server.address);
    let files = ["--state-dir", state.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let made = output(&[&["kubeconfig", "node", "node-1", "--server", &url][..], &files].concat());
    assert!(made.status.success(), "{made:?}");
    assert_eq!(mode(&out), 0o600);
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("system:node:node-1") && text.contains(&url), "{text}");
    let node = client(&out).await;
    Api::<Service>::all(node.clone()).list(&ListParams::default()).await.unwrap();
    let refused = Api::<ConfigMap>::all(node).list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));

    let made = output(&[&["kubeconfig", "admin", "--server", &url][..], &files].concat());
    assert!(made.status.success(), "{made:?}");
    assert_eq!(ask(&client(&out).await, "/readyz").await.unwrap(), "ok");
}

#[tokio::test]
async fn a_token_lets_an_account_in_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let token = token(&server.client().await).await;
    let robot = bearer(&server, &token).await;
    assert!(ask(&robot, "/apis").await.unwrap().contains("APIGroupList"));
    assert_eq!(ask(&robot, "/api/v1/namespaces/default/secrets").await, Err(403));
    assert_eq!(ask(&bearer(&server, &format!("{token}x")).await, "/apis").await, Err(401));
    drop(server);
    let server = Server::start(dir.path(), &[]);
    assert!(ask(&bearer(&server, &token).await, "/apis").await.is_ok());
    // Another name of the issuer, another cluster.
    drop(server);
    let server = Server::start(dir.path(), &["--service-account-issuer", "https://new.example"]);
    assert_eq!(ask(&bearer(&server, &token).await, "/apis").await, Err(401));
    let found = ask(&server.client().await, "/.well-known/openid-configuration").await.unwrap();
    assert!(found.contains("\"issuer\":\"https://new.example\""), "{found}");
}

/// How many of 300 connections, all of them kept, are served, and how many are not.
async fn crowd(server: &Server, authorization: &str) -> (usize, usize) {
    let (mut served, mut refused) = (Vec::new(), 0);
    let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
    for _ in 0..300 {
        let mut stream = server.stranger_stream().await;
        let mut answer = [0; 16];
        let asked = async {
            stream.write_all(request.as_bytes()).await?;
            stream.read(&mut answer).await
        };
        match asked.await {
            Ok(count) if answer[..count].starts_with(b"HTTP/1.1 200") => served.push(stream),
            _ => refused += 1,
        }
    }
    (served.len(), refused)
}

/// Strangers cannot take the places of those who show a certificate or a token.
#[tokio::test]
async fn connections_without_a_credential_are_few() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = server.client().await;
    let authorization = format!("Authorization: Bearer {}\r\n", token(&admin).await);
    assert_eq!(crowd(&server, &authorization).await, (300, 0));
    assert_eq!(crowd(&server, "").await, (256, 44));
    assert_eq!(ask(&admin, "/readyz").await.unwrap(), "ok");
}
