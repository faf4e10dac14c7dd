//! Where the files of pods lie: one directory per pod, laid out as the kubelet's.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The agent's directory for pods.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below the agent's state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self { root: state_dir.join("pods") }
    }

    /// Directory of all pods.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Pods that have a directory. Blocking.
    ///
    /// # Errors
    /// The file system's.
    pub fn uids(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut uids = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Ok(uid) = entry.file_name().into_string()
                && entry.file_type()?.is_dir()
            {
                uids.push(uid);
            }
        }
        Ok(uids)
    }

    /// Directory of a pod.
    pub fn pod(&self, uid: &str) -> PodPaths {
        PodPaths { dir: self.root.join(uid) }
    }
}

/// One pod's directory.
#[derive(Clone, Debug)]
pub struct PodPaths {
    dir: PathBuf,
}

impl PodPaths {
    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes it, for nobody but the agent and the engine: secrets lie there.
    ///
    /// # Errors
    /// The file system's.
    pub fn make(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Its `/etc/hosts`.
    pub fn hosts(&self) -> PathBuf {
        self.dir.join("etc-hosts")
    }

    /// Its `/etc/resolv.conf`.
    pub fn resolv_conf(&self) -> PathBuf {
        self.dir.join("resolv.conf")
    }

    /// A volume, by the kind of its plug-in.
    pub fn volume(&self, plugin: &str, name: &str) -> PathBuf {
        self.dir.join("volumes").join(format!("kubernetes.io~{plugin}")).join(name)
    }

    /// Where a container's mount of a part of a volume is mounted for the engine.
    pub fn sub_path(&self, volume: &str, container: &str, mount: usize) -> PathBuf {
        self.dir.join("volume-subpaths").join(volume).join(container).join(mount.to_string())
    }

    /// A seccomp profile of the node, which pods name by its path below `seccomp` beside all pods.
    pub fn seccomp_profile(&self, name: &str) -> PathBuf {
        let state = self.dir.parent().and_then(Path::parent).unwrap_or(&self.dir);
        state.join("seccomp").join(name)
    }

    /// Where a container leaves its termination message.
    pub fn termination_message(&self, container: &str, attempt: u32) -> PathBuf {
        self.dir.join("containers").join(container).join(attempt.to_string())
    }
}
