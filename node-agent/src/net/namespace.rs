//! Doing something in another network namespace.
//!
//! A thread is in one namespace at a time, and sockets and kernel parameters are those of the thread's. So whatever is
//! to happen elsewhere happens on a thread of its own, which goes there and never comes back.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    thread,
};

use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use super::{Error, Result, netlink::Netlink};

/// A network namespace, which exists at least as long as this.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    pid: i32,
}

impl Namespace {
    /// The namespace of a process of a pod: never the one that this thread is in, as when a process of the machine got
    /// the number of one that has ended.
    ///
    /// # Errors
    /// There is no such process, or it is in the node's own namespace.
    pub fn of_process(pid: i32) -> Result<Self> {
        let lost = |source| Error::Namespace { pid, source };
        let file = File::open(Path::new("/proc").join(pid.to_string()).join("ns/net")).map_err(lost)?;
        let own = fs::metadata("/proc/thread-self/ns/net").map_err(lost)?;
        let theirs = file.metadata().map_err(lost)?;
        if (theirs.dev(), theirs.ino()) == (own.dev(), own.ino()) {
            return Err(lost(io::Error::other("it is the node's own, so the process is none of a pod's")));
        }
        Ok(Self { file, pid })
    }

    /// Its descriptor, for messages to the kernel.
    pub fn descriptor(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Does something there, with a netlink connection of that namespace.
    ///
    /// # Errors
    /// Those of `act`, or the thread could not be had.
    pub async fn run<T, F>(&self, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Netlink) -> Result<T> + Send + 'static,
    {
        let pid = self.pid;
        let lost = |source| Error::Namespace { pid, source };
        let file = self.file.try_clone().map_err(lost)?;
        let (answer, result) = oneshot::channel();
        thread::Builder::new()
            .name("netns".into())
            .spawn(move || {
                // Whoever asked may have gone.
                let _ = answer.send(inside(&file, pid, act));
            })
            .map_err(lost)?;
        result.await.unwrap_or_else(|_| Err(lost(io::Error::other("the thread inside has panicked"))))
    }
}

fn inside<T>(file: &File, pid: i32, act: impl AsyncFnOnce(&Netlink) -> Result<T>) -> Result<T> {
    let lost = |source| Error::Namespace { pid, source };
    setns(file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|errno| lost(errno.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(lost)?;
    runtime.block_on(async {
        let netlink = Netlink::open()?;
        act(&netlink).await
    })
}
