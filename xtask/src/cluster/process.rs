//! A background process of the cluster: started in a session of its own, found again by its pid file, ended by its id.
//!
//! A pid file holds the id and the start time, so an id that the kernel gave to somebody else is never ours.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::state::StateDir;
use super::wait;
use crate::cmd::{Cmd, last_lines};

/// How many lines of a log are shown when its process failed.
const LOG_LINES: usize = 20;

/// A named process of a cluster; it may run or not.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    pid_file: PathBuf,
    log: PathBuf,
}

/// Which process, beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    pid: i32,
    /// Clock ticks after boot (field 22 of proc_pid_stat(5)).
    started: u64,
}

impl Daemon {
    /// The process called `name` of the cluster in `state`.
    pub(crate) fn new(state: &StateDir, name: &'static str) -> Self {
        Self { name, pid_file: state.pid_file(name), log: state.log(name) }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Starts it and writes down who it is.
    ///
    /// # Errors
    /// When it cannot be started or written down.
    pub(crate) fn start(&self, command: Cmd) -> Result<()> {
        let mut child = command.daemon(&self.log)?;
        let pid = i32::try_from(child.id())?;
        let written = Identity::of(pid)
            .with_context(|| format!("{} ended at once", self.name))
            .and_then(|identity| std::fs::write(&self.pid_file, identity.to_text()).map_err(Into::into));
        if let Err(error) = written {
            // A process that nobody could find again must not stay.
            child.kill().ok();
            child.wait().ok();
            return Err(self.explain(&error));
        }
        Ok(())
    }

    /// Its id while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        let identity = Identity::from_text(&std::fs::read_to_string(&self.pid_file).ok()?)?;
        identity.is_alive().then_some(identity.pid)
    }

    /// Fails when it no longer runs; for use inside waits. Who waits explains the error, once.
    ///
    /// # Errors
    /// When it no longer runs.
    pub(crate) fn require_alive(&self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        Err(anyhow!("{} has ended", self.name))
    }

    /// Adds to an error which log to read, and its last lines.
    pub(crate) fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        let text =
            std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let end = last_lines(&text, LOG_LINES);
        anyhow!("{error:#}\n  the log is {}, and ends:\n{end}", self.log.display())
    }

    /// Asks it to end, waits for `patience`, then kills it. Gives whether it ran.
    ///
    /// # Errors
    /// When it survives.
    pub(crate) fn stop(&self, patience: Duration) -> Result<bool> {
        let Some(pid) = self.pid() else {
            std::fs::remove_file(&self.pid_file).ok();
            return Ok(false);
        };
        let gone = || Ok(self.pid().is_none().then_some(()));
        end(self.name, pid, patience, gone)?;
        std::fs::remove_file(&self.pid_file).ok();
        Ok(true)
    }
}

/// Ends a process that no pid file tells of; `pid` must be who it was found to be a moment ago.
///
/// # Errors
/// When it survives.
pub(crate) fn end_stray(name: &str, pid: i32, patience: Duration) -> Result<()> {
    let Some(identity) = Identity::of(pid) else { return Ok(()) };
    end(name, pid, patience, || Ok((!identity.is_alive()).then_some(())))
}

fn end(name: &str, pid: i32, patience: Duration, gone: impl Fn() -> Result<Option<()>>) -> Result<()> {
    kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
    if wait::until(name, patience, &gone).is_err() {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        wait::until(&format!("the end of {name} (process {pid})"), Duration::from_secs(10), &gone)?;
    }
    Ok(())
}

impl Identity {
    fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = state_and_start(&stat)?;
        // A zombie has ended; only its parent has not looked yet.
        (state != 'Z' && state != 'X').then_some(Self { pid, started })
    }

    fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    fn to_text(self) -> String {
        format!("{} {}\n", self.pid, self.started)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }
}

/// Fields 3 and 22 of /proc/PID/stat; field 2 is a name in brackets that may hold anything.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// The resident memory of a process, in KiB (`VmRSS` of proc_pid_status(5)).
///
/// # Errors
/// When the process is gone.
pub(crate) fn resident_kib(pid: i32) -> Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 10";
        assert_eq!(state_and_start(stat), Some(('S', 12345)));
    }

    #[test]
    fn a_daemon_is_started_found_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        state.prepare().unwrap();
        let daemon = Daemon::new(&state, "sleeper");
        assert_eq!(daemon.pid(), None);
        daemon.start(Cmd::new("sleep").arg("60")).unwrap();
        let pid = daemon.pid().expect("it runs");
        assert!(resident_kib(pid).unwrap() > 0);
        assert!(daemon.stop(Duration::from_secs(5)).unwrap());
        assert_eq!(daemon.pid(), None);
        assert!(!daemon.stop(Duration::from_secs(5)).unwrap());
    }

    #[test]
    fn a_dead_daemon_shows_the_end_of_its_log_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        state.prepare().unwrap();
        let daemon = Daemon::new(&state, "failing");
        let told = match daemon.start(Cmd::new("ls").arg("/no/such/place")) {
            Ok(()) => wait::until::<()>("its end", Duration::from_secs(5), || daemon.require_alive().map(|()| None))
                .map_err(|error| daemon.explain(&error))
                .unwrap_err(),
            Err(error) => error,
        };
        let told = told.to_string();
        assert_eq!(told.matches("failing.log, and ends:").count(), 1, "{told}");
    }

    #[test]
    fn another_process_with_the_same_id_is_not_ours() {
        let own = i32::try_from(std::process::id()).unwrap();
        let identity = Identity::of(own).unwrap();
        assert!(identity.is_alive());
        assert!(!Identity { started: identity.started + 1, ..identity }.is_alive());
        assert_eq!(Identity::from_text(&identity.to_text()), Some(identity));
    }
}
