//! etcd with access control of its own.

use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use nodeplane_control_plane::store::{
    Store, StoreError,
    etcd::{EtcdOptions, EtcdStore, EtcdUser},
};
use tempfile::TempDir;

use crate::bed::{Etcd, next, text};

/// A user who may do everything below `/r/` and nothing else.
async fn set_up(etcd: &Etcd) -> EtcdOptions {
    let endpoints = etcd.options().endpoints;
    let mut admin = Client::connect(&endpoints, None).await.unwrap();
    admin.user_add("root", "secret", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.role_add("cluster").await.unwrap();
    let below = Permission::new(PermissionType::Readwrite, "/r/").with_range_end("/r0");
    admin.role_grant_permission("cluster", below).await.unwrap();
    admin.user_add("nodeplane", "pass word", None).await.unwrap();
    admin.user_grant_role("nodeplane", "cluster").await.unwrap();
    admin.auth_enable().await.unwrap();
    let user = EtcdUser { name: "nodeplane".to_owned(), password: "pass word".to_owned() };
    EtcdOptions { user: Some(user), ..etcd.options() }
}

fn unavailable(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(source) => format!("{source:#}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_etcd_does_what_its_role_says() {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &[]).await;
    let options = set_up(&etcd).await;
    let store = EtcdStore::connect(&options).await.unwrap();
    let first = store.create("/r/a", text("1")).await.unwrap();
    let second = store.update_for("/r/a", text("2"), first, Some(std::time::Duration::from_secs(1000))).await.unwrap();
    assert_eq!(store.mortal("/r/").await.unwrap().len(), 1);
    store.compact(second).await.unwrap();
    let forgotten = store.list("/r/", None, Some(first), 0).await;
    assert!(matches!(forgotten, Err(StoreError::Compacted { oldest }) if oldest == second), "{forgotten:?}");
    let elsewhere = store.create("/elsewhere", text("1")).await.unwrap_err();
    assert!(unavailable(&elsewhere).contains("permission denied"), "{elsewhere:?}");

    let mut wrong = options.clone();
    wrong.user = Some(EtcdUser { name: "nodeplane".to_owned(), password: "guess".to_owned() });
    let refused = EtcdStore::connect(&wrong).await.map(drop).unwrap_err();
    assert!(unavailable(&refused).contains("authentication failed"), "{refused:?}");
    assert!(EtcdStore::connect(&etcd.options()).await.is_err(), "a stranger");
}

/// The tokens of an etcd die with it, as they do when they are old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_over_is_replaced() {
    let dir = TempDir::new().unwrap();
    let mut etcd = Etcd::start(dir.path(), &[]).await;
    let store = EtcdStore::connect(&set_up(&etcd).await).await.unwrap();
    let first = store.create("/r/a", text("1")).await.unwrap();
    let mut changes = store.watch("/r/", first).await.unwrap();
    etcd.kill();
    etcd.restart().await;
    // From another client: this store's watch has to find its way back by itself.
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect(etcd.options().endpoints, Some(root)).await.unwrap();
    root.put("/r/b", "2", None).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/b");
    store.update("/r/a", text("3"), first).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().value, Some(text("3")));
}

#[test]
fn a_password_is_the_first_line_of_its_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "pass word\n").unwrap();
    let user = EtcdUser::read("nodeplane", &path).unwrap();
    assert_eq!((user.name.as_str(), user.password.as_str()), ("nodeplane", "pass word"));
    assert!(!format!("{user:?}").contains("pass word"));
    assert!(EtcdUser::read("nodeplane", &dir.path().join("missing")).unwrap_err().to_string().contains("missing"));
}
