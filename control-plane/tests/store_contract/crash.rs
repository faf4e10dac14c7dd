//! A server that is killed at any moment loses nothing that it has acknowledged.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use nodeplane_control_plane::store::{Store, StoreError, embedded::EmbeddedStore};
use tempfile::TempDir;

use crate::bed::{take, text};

/// Tells the child which file to write.
const FILE: &str = "NODEPLANE_CRASH_TEST_FILE";

/// Writes for ever and prints `key revision` after each acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of the test below"]
async fn child() {
    let store = Arc::new(EmbeddedStore::open(Path::new(&env::var(FILE).unwrap())).unwrap());
    let life = store.revision().await.unwrap();
    let writers = (0..4).map(|writer| tokio::spawn(write(store.clone(), format!("/r/{life}-{writer}"))));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Each round: a key that stays, an update of it, and a key that goes again.
async fn write(store: Arc<EmbeddedStore>, base: String) {
    for round in 0_u64.. {
        let key = format!("{base}/{round}");
        let created = store.create(&key, text("created")).await.unwrap();
        acknowledge("+", &key, created);
        let updated = store.update(&key, text("x".repeat(3000)), created).await.unwrap();
        acknowledge("+", &key, updated);
        if round % 3 == 0 {
            acknowledge("-", &key, store.delete(&key, updated).await.unwrap());
        }
    }
}

fn acknowledge(what: &str, key: &str, revision: u64) {
    // One write call per line: a killed process leaves whole lines.
    std::io::stdout().lock().write_all(format!("\n{what} {key} {revision}\n").as_bytes()).unwrap();
}

/// Lets a child write until it has acknowledged `count` changes, kills it, and gives all that it
/// has acknowledged, in its order.
fn write_and_be_killed(file: &Path, count: usize) -> Vec<(bool, String, u64)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = Vec::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        if let [what @ ("+" | "-"), key, revision] = words[..] {
            acknowledged.push((what == "+", key.to_owned(), revision.parse().unwrap()));
        }
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= count, "the child ended by itself");
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("store.redb");
    for count in [1, 40, 7, 333, 100, 58] {
        let acknowledged = write_and_be_killed(&file, count);
        let store = EmbeddedStore::open(&file).unwrap();
        let newest = store.revision().await.unwrap();
        let history = take(&mut store.watch("", 0).await.unwrap(), newest as usize - 1).await;
        let revisions: Vec<_> = history.iter().map(|change| change.revision).collect();
        assert_eq!(revisions, (2..=newest).collect::<Vec<_>>(), "no holes");
        for (is_put, key, revision) in acknowledged {
            let change = &history[revision as usize - 2];
            assert_eq!((&change.key, change.value.is_some()), (&key, is_put));
        }
        for entry in store.list("", None, None, 0).await.unwrap().entries {
            let last = history.iter().rfind(|change| change.key == entry.key).unwrap();
            assert_eq!((last.revision, last.value.as_ref()), (entry.revision, Some(&entry.value)));
        }
        let refused = store.create(&history[0].key, text("x")).await;
        assert!(matches!(refused, Ok(_) | Err(StoreError::Exists)));
    }
}
