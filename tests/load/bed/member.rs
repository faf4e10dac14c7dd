//! One process of the bed.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use super::Memory;

/// How long a process may take to end.
const END_WITHIN: Duration = Duration::from_secs(20);

/// Lines of a log that an error repeats.
const LAST_LINES: usize = 8;

/// A process that ends with this value.
pub(super) struct Member {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Member {
    /// Starts it; what it says goes to a file in `dir`. It ends with the thread that started it, also when the
    /// generator is killed.
    pub(super) fn start(name: &'static str, mut command: Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log)?;
        // SAFETY: between fork and exec there is one system call, which is async-signal-safe and allocates nothing.
        unsafe { command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn();
        Ok(Self { name, child: child.with_context(|| format!("starting {command:?}"))?, log })
    }

    /// Nothing while it runs.
    pub(super) fn require_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended: {status}", self.name),
        }
    }

    /// What it holds in memory now.
    pub(super) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{} has ended", self.name))?;
        Ok(Memory { pss: mebibytes(&text, "Pss:")?, rss: mebibytes(&text, "Rss:")? })
    }

    /// The end of what it said.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("{} said last:\n{}", self.name, lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > END_WITHIN {
                bail!("{} did not end when it was told to", self.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may have ended in between.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A line of `smaps_rollup`, which are in KiB.
fn mebibytes(text: &str, field: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.trim().strip_suffix("kB"));
    let kib: u32 = number.with_context(|| format!("smaps_rollup has no {field}"))?.trim().parse()?;
    Ok(f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mebibytes() {
        let text =
            "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:               65536 kB\nPss:               61440 kB\n";
        assert_eq!(mebibytes(text, "Pss:").unwrap(), 60.0);
        assert_eq!(mebibytes(text, "Rss:").unwrap(), 64.0);
        assert!(mebibytes(text, "Swap:").is_err());
    }
}
