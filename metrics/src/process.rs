//! What the kernel knows about this process: the metrics `process_*` of Prometheus' clients.
//!
//! In: files below `/proc`. Out: samples; a file that cannot be read leaves its samples out.

use std::{fs, path::Path};

use crate::Text;

/// Where the kernel tells about this process.
const SELF: &str = "/proc/self";

/// Shows the time used, the memory held, the files open, and since when.
pub fn show(text: &mut Text) {
    if let Some(facts) = Facts::read(Path::new(SELF)) {
        facts.show(text);
    }
    let Some((open, most)) = descriptors(Path::new(SELF)) else { return };
    let mut level = |name: &str, help: &str, value: u64| text.group(name, "gauge", help).count::<&str>(&[], value);
    level("process_open_fds", "Number of open file descriptors.", open);
    level("process_max_fds", "Maximum number of open file descriptors.", most);
}

/// Numbers from `/proc/self/stat`, in seconds and bytes.
#[derive(Debug, PartialEq)]
struct Facts {
    processor_seconds: f64,
    started_at: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

/// What the kernel counts in.
struct Units {
    ticks: f64,
    page: u64,
    /// When the machine started, in seconds of the epoch.
    booted: f64,
}

impl Facts {
    fn read(process: &Path) -> Option<Self> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let booted = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let units =
            Units { ticks: configured(libc::_SC_CLK_TCK)? as f64, page: configured(libc::_SC_PAGESIZE)?, booted };
        Self::parse(&fs::read_to_string(process.join("stat")).ok()?, &units)
    }

    /// Reads a line of proc(5)'s `stat`. The second field is a name that may hold anything; the
    /// others count from the third.
    fn parse(line: &str, units: &Units) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / units.ticks;
        Some(Self {
            processor_seconds: seconds(number(14)? + number(15)?),
            started_at: units.booted + seconds(number(22)?),
            virtual_bytes: number(23)?,
            resident_bytes: number(24)? * units.page,
        })
    }

    fn show(&self, text: &mut Text) {
        let mut real = |name: &str, kind: &str, help: &str, value: f64| {
            text.group(name, kind, help).real::<&str>(&[], value);
        };
        let help = "Total user and system CPU time spent in seconds.";
        real("process_cpu_seconds_total", "counter", help, self.processor_seconds);
        let help = "Start time of the process since unix epoch in seconds.";
        real("process_start_time_seconds", "gauge", help, self.started_at);
        let help = "Resident memory size in bytes.";
        real("process_resident_memory_bytes", "gauge", help, self.resident_bytes as f64);
        let help = "Virtual memory size in bytes.";
        real("process_virtual_memory_bytes", "gauge", help, self.virtual_bytes as f64);
    }
}

/// A number of the C library's `sysconf`.
fn configured(name: libc::c_int) -> Option<u64> {
    // SAFETY: `sysconf` takes any number and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// How many files are open, and how many may be.
fn descriptors(process: &Path) -> Option<(u64, u64)> {
    let open = fs::read_dir(process.join("fd")).ok()?.count() as u64;
    let limits = fs::read_to_string(process.join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let most = match line.split_whitespace().next()? {
        "unlimited" => u64::MAX,
        number => number.parse().ok()?,
    };
    // The listing itself was one of them.
    Some((open.saturating_sub(1), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_confuses_nobody() {
        let units = Units { ticks: 100.0, page: 4096, booted: 1000.0 };
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 4 0 700 8192 3 18446744073709551615";
        let facts = Facts::parse(line, &units).unwrap();
        let expected =
            Facts { processor_seconds: 3.0, started_at: 1007.0, virtual_bytes: 8192, resident_bytes: 3 * 4096 };
        assert_eq!(facts, expected);
        assert_eq!(Facts::parse("42 (short) S 1", &units), None);
    }

    #[test]
    fn this_process_has_memory_and_open_files() {
        let mut text = Text::default();
        show(&mut text);
        let text = text.finish();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }
}
