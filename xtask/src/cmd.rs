//! The one door to other programs.
//!
//! In: a program, its arguments and how long it may take. Out: its output, or an error that names the command,
//! its exit status and its last lines. Never: a shell, an unbounded wait on a captured command, a swallowed failure.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How many lines of a failed command's output are worth repeating.
const LAST_LINES: usize = 15;

/// How long a captured command may take unless it says otherwise.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// How often a long captured step says that it is still at work.
const STILL_AT_WORK: Duration = Duration::from_secs(10);

/// A command under construction.
#[derive(Debug)]
pub(crate) struct Cmd {
    inner: Command,
    limit: Duration,
    label: Option<String>,
}

/// What a captured command left behind.
#[derive(Debug)]
pub(crate) struct Captured {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Everything it wrote to its standard output.
    pub(crate) stdout: String,
    /// Everything it wrote to its standard error.
    pub(crate) stderr: String,
}

impl Cmd {
    /// A command for `program`, looked up on `PATH` unless it is a path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = Command::new(program);
        inner.stdin(Stdio::null());
        Self { inner, limit: DEFAULT_LIMIT, label: None }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds several arguments.
    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Removes environment variables that would otherwise be inherited.
    pub(crate) fn without_env(mut self, names: &[&str]) -> Self {
        for name in names {
            self.inner.env_remove(name);
        }
        self
    }

    /// Runs in `dir`.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Bounds a captured command; it is killed when the time is over.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Names a long captured command; it then says from time to time how long it has been at work.
    pub(crate) fn long_step(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The command line as a person would type it.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.inner.get_program()).chain(self.inner.get_args());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Runs with this process's own terminal, for programs that show their progress themselves.
    ///
    /// # Errors
    /// When the program cannot be started or ends with a failure.
    pub(crate) fn stream(mut self) -> Result<()> {
        let line = self.line();
        let status = self.inner.status().with_context(|| format!("cannot start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(())
    }

    /// Runs, captures both outputs and gives them back whatever the exit status was.
    ///
    /// # Errors
    /// When the program cannot be started or outlives its limit.
    pub(crate) fn capture(mut self) -> Result<Captured> {
        let line = self.line();
        let started = Instant::now();
        let mut child = self
            .inner
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let Some(status) = wait(&mut child, started, self.limit, self.label.as_deref())? else {
            child.kill().ok();
            child.wait().ok();
            bail!("`{line}` did not end within {} s and was killed", self.limit.as_secs());
        };
        Ok(Captured { status, stdout: collect(stdout), stderr: collect(stderr) })
    }

    /// Runs captured and wants success; gives the standard output without the trailing newline.
    ///
    /// # Errors
    /// When the program cannot be started, outlives its limit or ends with a failure.
    pub(crate) fn read(self) -> Result<String> {
        let line = self.line();
        let captured = self.capture()?;
        if !captured.status.success() {
            let told = if captured.stderr.trim().is_empty() { &captured.stdout } else { &captured.stderr };
            bail!("`{line}` failed: {}\n{}", captured.status, last_lines(told, LAST_LINES));
        }
        Ok(captured.stdout.trim_end().to_owned())
    }

    /// Runs captured and wants success; the output is of no interest.
    ///
    /// # Errors
    /// As [`Cmd::read`].
    pub(crate) fn run(self) -> Result<()> {
        self.read().map(drop)
    }

    /// Whether it starts, ends in time and succeeds.
    pub(crate) fn succeeds(self) -> bool {
        self.capture().is_ok_and(|captured| captured.status.success())
    }

    /// Starts it in a session of its own, with both outputs appended to `log`, and lets it run.
    ///
    /// `setsid` runs the program in its own process (it forks only for a group leader, which a child never is), so
    /// the returned child is the daemon itself.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub(crate) fn daemon(self, log: &Path) -> Result<Child> {
        let line = self.line();
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open the log {}", log.display()))?;
        let mut session = Command::new("setsid");
        session.arg(self.inner.get_program()).args(self.inner.get_args());
        for (name, value) in self.inner.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.current_dir("/").stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        session.spawn().with_context(|| format!("cannot start `{line}`"))
    }
}

/// The last `count` lines of `text`, indented for an error message.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The first executable file called `name` on `PATH`, or in the system's administration directories.
pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

fn wait(child: &mut Child, started: Instant, limit: Duration, label: Option<&str>) -> Result<Option<ExitStatus>> {
    let mut said = started;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            return Ok(None);
        }
        if let Some(label) = label
            && said.elapsed() > STILL_AT_WORK
        {
            println!("  … {label}: {} s", started.elapsed().as_secs());
            said = Instant::now();
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks while its writer dies still gave what it gave.
            pipe.read_to_end(&mut bytes).ok();
        }
        bytes
    })
}

fn collect(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

/// `PATH` with `first` in front of what is inherited.
pub(crate) fn path_with(first: &[&str]) -> Result<OsString> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let dirs = first.iter().map(std::path::PathBuf::from).chain(std::env::split_paths(&inherited));
    std::env::join_paths(dirs).context("PATH cannot be extended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_its_status_and_its_last_words() {
        let error = Cmd::new("ls").args(["--no-such-flag", "two words"]).run().unwrap_err().to_string();
        assert!(error.starts_with("`ls --no-such-flag 'two words'` failed: exit status: 2"), "{error}");
        assert!(error.contains("unrecognized option"), "{error}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Cmd::new("/no/such/program").read().unwrap_err().to_string();
        assert_eq!(error, "cannot start `/no/such/program`");
    }

    #[test]
    fn a_command_that_outlives_its_limit_is_killed() {
        let started = Instant::now();
        let error = Cmd::new("sleep").arg("30").limit(Duration::from_millis(50)).run().unwrap_err().to_string();
        assert!(error.contains("was killed"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn only_the_last_lines_are_repeated() {
        assert_eq!(last_lines("one\ntwo\nthree\n", 2), "    two\n    three");
        assert_eq!(last_lines("", 2), "");
    }
}
