//! Cgroups that a bed makes, in the version 2 hierarchy and, by the hands of a container engine,
//! in the version 1 ones beside it.
//!
//! In: names. Out: directories that are gone when the value is, with every process in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{leftovers, netns::unique, wait};

/// How long the kernel may take to let processes go that were killed.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// A cgroup of version 2, below the root of the hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one without processes.
    ///
    /// # Errors
    /// No hierarchy of version 2 is mounted, or privilege is missing.
    pub fn new(label: &str) -> Result<Self> {
        Self::named(&unique(label))
    }

    /// Makes one with a name that is unique already.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn named(name: &str) -> Result<Self> {
        leftovers::sweep();
        let path = cgroup2_mount()?.join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Err(error) = remove(&name) {
            eprintln!("cgroup {name} is left behind: {error:#}");
        }
    }
}

/// Where the cgroup2 hierarchy is mounted.
///
/// # Errors
/// When it is not mounted.
pub fn cgroup2_mount() -> Result<PathBuf> {
    let found = mounts()?.into_iter().find(|(kind, _)| kind == "cgroup2");
    found.map(|(_, point)| point).context("no cgroup2 hierarchy is mounted")
}

/// Ends all processes in the cgroups called `name`, and removes those from every hierarchy.
pub(super) fn remove(name: &str) -> Result<()> {
    let trees: Vec<PathBuf> = mounts()?.into_iter().map(|(_, mount)| mount.join(name)).collect();
    let kill_and_remove = || {
        for killer in trees.iter().map(|tree| tree.join("cgroup.kill")).filter(|killer| killer.exists()) {
            fs::write(killer, "1")?;
        }
        trees.iter().try_for_each(|tree| remove_tree(tree))
    };
    // A process that was killed is counted for a moment longer, and another may come in meanwhile.
    wait::eventually(&format!("cgroup {name} is empty"), KILL_GRACE, || Ok(kill_and_remove()?))
}

/// The cgroups directly below the roots of all hierarchies.
pub(super) fn names() -> Vec<String> {
    let entries = mounts().unwrap_or_default().into_iter().filter_map(|(_, mount)| fs::read_dir(mount).ok());
    entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// A cgroup directory is removed from its leaves; the files in it are the kernel's.
fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path())?;
    }
    fs::remove_dir(dir)
}

/// Kinds (`cgroup`, `cgroup2`) and mount points of all hierarchies.
fn mounts() -> Result<Vec<(String, PathBuf)>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let parse = |line: &str| {
        let (fields, tail) = line.split_once(" - ")?;
        let kind = tail.split(' ').next().filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        Some((kind.to_owned(), PathBuf::from(fields.split(' ').nth(4)?)))
    };
    Ok(mounts.lines().filter_map(parse).collect())
}
