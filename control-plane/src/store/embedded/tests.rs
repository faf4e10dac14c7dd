//! What only this store promises: the file, the lock, the retention.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use tempfile::TempDir;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn a_file_has_one_server_at_a_time_and_is_private() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = EmbeddedStore::open(&path).map(drop).unwrap_err();
    assert_eq!(second.to_string(), format!("{} is in use by another server", path.display()));
    let revision = store.create("/r/a", bytes("1")).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(store.get("/r/a").await.unwrap().unwrap().revision, revision);
    assert_eq!(store.watch("/r/", 0).await.unwrap().next().await.unwrap().unwrap().revision, revision);
}

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    fs::write(&path, "something else".repeat(1000)).unwrap();
    let error = EmbeddedStore::open(&path).map(drop).unwrap_err();
    assert!(error.to_string().contains("store.redb"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else".repeat(1000));
    assert!(matches!(EmbeddedStore::open(&dir.path().join("no/store.redb")), Err(OpenError::Failed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_and_the_file_stay_bounded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    let retention = Retention { age: Duration::from_secs(3600), changes: 200 };
    let store = EmbeddedStore::open_with(&path, retention).unwrap();
    let value = Bytes::from(vec![b'x'; 20_000]);
    let mut newest = store.create("/r/a", value.clone()).await.unwrap();
    for _ in 0..1500 {
        newest = store.update("/r/a", value.clone(), newest).await.unwrap();
    }
    let error = store.list("/r/", None, Some(newest - 400), 0).await.unwrap_err();
    assert!(matches!(error, StoreError::Compacted { oldest } if newest - oldest <= 300), "{error:?}");
    assert!(store.list("/r/", None, Some(newest - 150), 0).await.is_ok());
    // 30 MB were written; at most 6 MB are kept, and some room to move, more on a busy machine.
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 24 << 20, "{size} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleaning_goes_on_without_requests_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    let store = EmbeddedStore::open(&path).unwrap();
    let mut newest = store.create("/r/a", bytes("1")).await.unwrap();
    let gone = store.create("/r/gone", bytes("1")).await.unwrap();
    newest = store.update("/r/a", bytes("2"), newest).await.unwrap();
    store.delete("/r/gone", gone).await.unwrap();
    for _ in 0..3000 {
        newest = store.update("/r/a", bytes("3"), newest).await.unwrap();
    }
    store.compact(newest).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    let versions = || async {
        let count = |database: &Database| Snapshot::new(&database.begin_read()?)?.len();
        store.reader.0.read(count).unwrap()
    };
    let until = Instant::now() + DEADLINE;
    while versions().await != (1, 0) {
        assert!(Instant::now() < until, "{:?} versions and log entries are left", versions().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.get("/r/a").await.unwrap().unwrap().revision, newest);
    assert_eq!(store.revision().await.unwrap(), newest);
    let next = store.update("/r/a", bytes("4"), newest).await.unwrap();
    let change = store.watch("/r/", newest).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!((change.revision, change.previous), (next, Some(bytes("3"))));
}

#[test]
fn the_retention_forgets_by_age_and_by_number() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    let file = File::open(Box::new(move || Database::create(&path))).unwrap();
    let retention = Retention { age: Duration::from_secs(300), changes: 10_000 };
    let recent = Arc::new(Recent::new(1));
    let mut writer = Writer::new(file, mpsc::channel(1).1, watch::channel(1).0, recent, retention).unwrap();
    let start = Instant::now();
    let mut at = |second, newest, compacted| writer.forgettable(newest, compacted, start + Duration::from_secs(second));
    assert_eq!(at(0, 1000, 0), None);
    assert_eq!(at(5, 1500, 0), None, "no mark so soon");
    assert_eq!(at(100, 2000, 0), None);
    assert_eq!(at(301, 3000, 0), Some(1000), "as of 301 s ago");
    assert_eq!(at(302, 3000, 1000), None, "done");
    assert_eq!(at(450, 3000, 1000), Some(2000));
    assert_eq!(at(451, 13_500, 2000), Some(3500), "too many, however young");
    assert_eq!(at(452, 13_550, 3500), None, "not for a few");
}

/// A file on a disk that can fail.
#[derive(Debug)]
struct Disk {
    file: fs::File,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Nothing can be written.
    full: AtomicBool,
    /// The next sync fails; what was written is there.
    sync: AtomicBool,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        match self.faults.full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.check()?;
        if self.faults.sync.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the sync failed"));
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.check()?;
        self.file.write_all_at(data, offset)
    }
}

fn on_a_disk_that_fails(path: &Path) -> (EmbeddedStore, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let (name, state) = (path.to_owned(), faults.clone());
    let open = move || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name)?;
        Database::builder().create_with_backend(Disk { file, faults: state.clone() })
    };
    (EmbeddedStore::start(path, Box::new(open), Retention::default()).unwrap(), faults)
}

/// redb refuses everything after the first failure until it is opened again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_was_full_is_written_to_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.redb");
    let (store, faults) = on_a_disk_that_fails(&path);
    let first = store.create("/r/a", bytes("1")).await.unwrap();
    store.check().await.unwrap();

    faults.full.store(true, Ordering::SeqCst);
    let refused = store.create("/r/b", bytes("2")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    let refused = store.check().await.unwrap_err();
    assert!(format!("{refused:?}").contains("the last write failed"), "{refused:?}");

    faults.full.store(false, Ordering::SeqCst);
    let second = store.create("/r/c", bytes("3")).await.unwrap();
    assert!(second > first);
    store.check().await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap().unwrap().revision, first);
    let page = store.list("/r/", None, None, 0).await.unwrap();
    assert!(page.entries.iter().any(|entry| entry.key == "/r/c"));
}

/// The last step of a commit fails, but what it wrote is there when the file is opened again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_sees_changes_whose_commit_failed_at_the_end() {
    let dir = TempDir::new().unwrap();
    let (store, faults) = on_a_disk_that_fails(&dir.path().join("store.redb"));
    let first = store.create("/r/a", bytes("1")).await.unwrap();
    let mut watch = store.watch("/r/", first).await.unwrap();
    let mut seen = async || {
        let change = tokio::time::timeout(DEADLINE, watch.next()).await.expect("a change").unwrap().unwrap();
        (change.key, change.revision)
    };
    let fail = async |key| {
        faults.sync.store(true, Ordering::SeqCst);
        let refused = store.create(key, bytes("2")).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
        assert!(!faults.sync.load(Ordering::SeqCst), "it failed for another reason");
    };

    fail("/r/b").await;
    let refused = store.create("/r/b", bytes("2")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Exists), "{refused:?}");
    assert_eq!(seen().await, ("/r/b".to_owned(), first + 1), "though nothing was written since");

    fail("/r/c").await;
    assert_eq!(store.create("/r/d", bytes("3")).await.unwrap(), first + 3);
    assert_eq!(seen().await, ("/r/c".to_owned(), first + 2));
    assert_eq!(seen().await, ("/r/d".to_owned(), first + 3));

    store.create("/r/e", bytes("4")).await.unwrap();
    assert_eq!(seen().await, ("/r/e".to_owned(), first + 4));
    let behind: Vec<_> = store.watch("/r/", first).await.unwrap().take(4).collect().await;
    let behind: Vec<_> = behind.into_iter().map(|change| change.unwrap().revision).collect();
    assert_eq!(behind, (first + 1..=first + 4).collect::<Vec<_>>());
}
