//! etcd behind TLS, with certificates of a cluster's own authority.

use std::{fs, path::PathBuf};

use nodeplane_control_plane::{
    pki::{Identity, Pki, San},
    store::{
        Store, StoreError,
        etcd::{EtcdStore, EtcdTls},
    },
};
use tempfile::TempDir;

use crate::bed::{Etcd, text};

fn write(dir: &TempDir, name: &str, identity: &Identity) -> [PathBuf; 2] {
    let paths = ["crt", "key"].map(|end| dir.path().join(format!("{name}.{end}")));
    fs::write(&paths[0], &identity.cert_pem).unwrap();
    fs::write(&paths[1], &identity.key_pem).unwrap();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_reached_over_tls_with_a_client_certificate() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(&dir.path().join("pki")).unwrap();
    let server = write(&dir, "server", &pki.serving(&[San::from("127.0.0.1")]).unwrap());
    let client = write(&dir, "client", &pki.client("nodeplane", &[]).unwrap());
    let ca = dir.path().join("ca.crt");
    fs::write(&ca, pki.ca_pem()).unwrap();
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (ca_flag, cert, key) = (path(&ca), path(&server[0]), path(&server[1]));
    let flags = ["--client-cert-auth", "--trusted-ca-file", &ca_flag, "--cert-file", &cert, "--key-file", &key];
    let etcd = Etcd::start(dir.path(), &flags).await;

    let mut options = etcd.options();
    options.tls = Some(EtcdTls::read(&ca, Some((&client[0], &client[1]))).unwrap());
    let store = EtcdStore::connect(&options).await.unwrap();
    let revision = store.create("/r/a", text("1")).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap().unwrap().revision, revision);

    options.tls = Some(EtcdTls::read(&ca, None).unwrap());
    assert!(matches!(EtcdStore::connect(&options).await.map(drop), Err(StoreError::Unavailable(_))));
    let missing = EtcdTls::read(&dir.path().join("missing"), None).unwrap_err();
    assert!(missing.to_string().contains("missing"));
}
