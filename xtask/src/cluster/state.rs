//! The state directory of one cluster: where each thing lies, and the record of what was started.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Store;

/// The mode of the cluster's directories.
const PRIVATE: u32 = 0o700;

/// The directory below which one cluster keeps everything.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
}

/// What `down` must know about an `up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where the programs lie that run.
    pub(crate) bin_dir: PathBuf,
    /// The store that the server was started with.
    pub(crate) store: Store,
    /// Whether the container engine is ours to stop.
    pub(crate) is_engine_ours: bool,
    /// What an engine leaves outside this directory and was not there before ours ran.
    pub(crate) engine_traces: Vec<PathBuf>,
    /// Whether the sample was there and answered once. From then on it is the user's to change.
    #[serde(default)]
    pub(crate) has_sample: bool,
}

impl StateDir {
    /// The state directory at `root`, which need not exist yet.
    ///
    /// # Errors
    /// When the current directory, to which a relative path is relative, is gone.
    pub(crate) fn new(root: &Path) -> Result<Self> {
        Ok(Self { root: std::path::absolute(root)? })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The server's own directory: keys, embedded store, the administrator's kubeconfig.
    pub(crate) fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    /// The administrator's kubeconfig, written by the server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.server().join("admin.kubeconfig")
    }

    /// The agent's own directory.
    pub(crate) fn agent(&self) -> PathBuf {
        self.root.join("agent")
    }

    /// The node's kubeconfig.
    pub(crate) fn node_kubeconfig(&self) -> PathBuf {
        self.agent().join("kubeconfig")
    }

    /// etcd's data.
    pub(crate) fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// The container engine's images, containers and sockets.
    pub(crate) fn docker(&self) -> PathBuf {
        self.root.join("docker")
    }

    /// What a process of this name writes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("log").join(format!("{name}.log"))
    }

    /// Who a process of this name is.
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.run().join(format!("{name}.pid"))
    }

    /// Short-lived files.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Makes the directories of the cluster, for nobody but root: keys, objects and pods' files lie there.
    ///
    /// # Errors
    /// When one cannot be made, or others' files lie where a cluster's would: `down` could not tell them apart.
    pub(crate) fn prepare(&self) -> Result<()> {
        if self.record()?.is_none()
            && let Some(used) = self.contents().into_iter().find(|dir| !is_empty(dir))
        {
            bail!(
                "{} is in use and no `up` made it; `--state-dir` names another place for the cluster",
                used.display()
            );
        }
        for dir in [self.server(), self.agent(), self.root.join("log"), self.run()] {
            make_private(&dir)?;
        }
        Ok(())
    }

    /// Everything that a cluster leaves here; nothing else in the directory is touched.
    pub(crate) fn contents(&self) -> Vec<PathBuf> {
        let log = self.root.join("log");
        let all = [self.server(), self.agent(), self.etcd(), self.docker(), log, self.run()];
        all.into_iter().filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// The record of the `up` that made this, if there was one.
    ///
    /// # Errors
    /// When it is there and cannot be understood.
    pub(crate) fn record(&self) -> Result<Option<Record>> {
        let file = self.record_file();
        match std::fs::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is damaged", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        let file = self.record_file();
        std::fs::write(&file, serde_json::to_vec_pretty(record)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn record_file(&self) -> PathBuf {
        self.run().join("cluster.json")
    }
}

/// Makes a directory that only its owner can look into, or makes one so.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(dir)
        .and_then(|()| std::fs::set_permissions(dir, Permissions::from_mode(PRIVATE)))
        .with_context(|| format!("cannot make {}", dir.display()))
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_use_does_not_become_a_clusters() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        state.prepare().expect("an empty directory is nobody's");
        std::fs::write(dir.path().join("log/syslog"), "theirs").unwrap();
        let told = state.prepare().unwrap_err().to_string();
        assert!(told.starts_with(&format!("{}/log is in use and no `up` made it", dir.path().display())), "{told}");
        let record = Record {
            bin_dir: "/b".into(),
            store: Store::Etcd,
            is_engine_ours: true,
            engine_traces: vec![],
            has_sample: false,
        };
        state.write_record(&record).unwrap();
        state.prepare().expect("with a record, it is the cluster's own");
    }

    #[test]
    fn a_record_is_found_again_and_its_absence_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        assert_eq!(state.record().unwrap(), None);
        state.prepare().unwrap();
        let record = Record {
            bin_dir: "/b".into(),
            store: Store::Etcd,
            is_engine_ours: true,
            engine_traces: vec!["/t".into()],
            has_sample: true,
        };
        state.write_record(&record).unwrap();
        assert_eq!(state.record().unwrap(), Some(record));
    }

    #[test]
    fn the_record_of_an_earlier_version_is_understood() {
        let text = r#"{"bin_dir": "/b", "store": "embedded", "is_engine_ours": true, "engine_traces": []}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert!(record.is_engine_ours && !record.has_sample);
    }

    #[test]
    fn a_clusters_directories_are_open_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("new")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        state.prepare().unwrap();
        std::fs::set_permissions(state.server(), Permissions::from_mode(0o755)).unwrap();
        let text = r#"{"bin_dir": "/b", "store": "etcd", "is_engine_ours": false, "engine_traces": []}"#;
        state.write_record(&serde_json::from_str(text).unwrap()).unwrap();
        state.prepare().expect("a second time");
        assert_eq!(mode(state.root()), 0o700);
        for dir in state.contents() {
            assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        }
    }

    #[test]
    fn only_the_clusters_own_directories_are_contents() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        assert!(state.contents().is_empty());
        state.prepare().unwrap();
        assert_eq!(state.contents().len(), 4);
    }
}
