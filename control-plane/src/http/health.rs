//! Whether the server is well: `/healthz`, `/livez`, `/readyz` and one path for each check.
//!
//! In: what the checks found. Out: upstream's texts. What is wrong stands in the log and in the
//! answer of the one check; everybody may read the others, which only say that something is.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{StatusCode, header};
use nodeplane_api::status::Status;
use tracing::info;

use super::{Api, call::Call, reply::Reply};

/// How long the store may take to say that it is well (upstream's etcd check).
const STORE_WITHIN: Duration = Duration::from_secs(2);
/// How often it is tried whether the log can be written, and how long that may take.
const LOG_EVERY: Duration = Duration::from_secs(60);
const LOG_WITHIN: Duration = Duration::from_secs(120);

const PLAIN: &str = "text/plain; charset=utf-8";

/// What is done once at start, by the names that upstream has for it: the namespaces, the Service
/// of the server, and the authority that others verify its clients by.
const HOOKS: [&str; 3] = [
    "poststarthook/bootstrap-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-system-namespaces-controller",
];

/// What is known about the server besides what can be asked.
#[derive(Debug, Default)]
pub struct Health {
    awaits_bootstrap: AtomicBool,
    log: LogProbe,
}

impl Health {
    /// The cluster's own objects are still to be made, or are there.
    pub fn set_bootstrapped(&self, is: bool) {
        self.awaits_bootstrap.store(!is, Ordering::Relaxed);
    }
}

/// One thing that can be well or not.
struct Check {
    /// Name, as in `[+]ping ok`.
    name: &'static str,
    /// What is wrong with it.
    failure: Option<String>,
}

impl Check {
    fn new(name: &'static str, failure: Option<impl Into<String>>) -> Self {
        Self { name, failure: failure.map(Into::into) }
    }
}

/// Answers a probe.
///
/// # Errors
/// 404 for a check that does not exist.
pub(super) async fn answer(api: &Api, call: &Call, probe: &str, only: Option<&str>) -> Result<Reply, Status> {
    let checks = checks(api, probe).await;
    match only {
        None => Ok(all(call, probe, &checks)),
        Some(name) => checks.iter().find(|check| check.name == name).map(one).ok_or_else(Status::no_such_path),
    }
}

async fn checks(api: &Api, probe: &str) -> Vec<Check> {
    let store = api.objects.check(STORE_WITHIN).await.err().map(|error| error.to_string());
    let is_ready = probe == "readyz";
    let mut checks = vec![
        Check::new("ping", None::<String>),
        Check::new("log", api.health.log.failure()),
        Check::new("etcd", store.clone()),
    ];
    if is_ready {
        checks.push(Check::new("etcd-readiness", store));
        let is_listed = api.objects.cache().is_ready();
        checks.push(Check::new("informer-sync", (!is_listed).then_some("the store has not been listed yet")));
    }
    let awaits = api.health.awaits_bootstrap.load(Ordering::Relaxed);
    checks.extend(HOOKS.map(|hook| Check::new(hook, awaits.then_some("not finished"))));
    if is_ready {
        checks.push(Check::new("shutdown", api.is_ending().then_some("process is shutting down")));
    }
    checks
}

fn one(check: &Check) -> Reply {
    match &check.failure {
        None => Reply::new(StatusCode::OK, PLAIN, "ok"),
        Some(why) => failed(format!("internal server error: {why}\n")),
    }
}

fn all(call: &Call, probe: &str, checks: &[Check]) -> Reply {
    let mut unknown: Vec<&str> = call.query.all("exclude").collect();
    unknown.sort_unstable();
    unknown.dedup();
    let excluded = unknown.clone();
    let (mut report, mut reasons, mut failures) = (String::new(), String::new(), Vec::new());
    for check in checks {
        let name = check.name;
        unknown.retain(|unknown| *unknown != name);
        report.push_str(&match &check.failure {
            _ if excluded.contains(&name) => format!("[+]{name} excluded: ok\n"),
            None => format!("[+]{name} ok\n"),
            Some(why) => {
                failures.push(name);
                reasons.push_str(&format!("[-]{name} failed: {why}\n"));
                format!("[-]{name} failed: reason withheld\n")
            }
        });
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(",");
        report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    if !failures.is_empty() {
        // Whoever cannot write the log would not get on with this either.
        if !failures.contains(&"log") {
            info!(probe, checks = failures.join(","), reasons, "not well");
        }
        return failed(report + &format!("{probe} check failed\n"));
    }
    let text = match call.query.get("verbose") {
        None => "ok".to_owned(),
        Some(_) => report + &format!("{probe} check passed\n"),
    };
    Reply::new(StatusCode::OK, PLAIN, text).with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn failed(text: String) -> Reply {
    let reply = Reply::new(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, text);
    reply.with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// Tries now and then, from the first question on, whether whoever writes the log gets on.
#[derive(Debug, Default)]
struct LogProbe(Arc<Mutex<Option<Probed>>>);

#[derive(Clone, Copy, Debug)]
struct Probed {
    begun: Instant,
    /// A try that has not ended yet keeps the log from being tried again.
    is_under_way: bool,
}

impl LogProbe {
    fn failure(&self) -> Option<&'static str> {
        let now = Instant::now();
        let mut probed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = probed.get_or_insert(Probed { begun: now, is_under_way: false });
        if !last.is_under_way && now.duration_since(last.begun) >= LOG_EVERY {
            (last.begun, last.is_under_way) = (now, true);
            let place = self.0.clone();
            tokio::task::spawn_blocking(move || {
                // Waits for whoever writes at the moment; what it says of the stream is not asked.
                let _ = std::io::stderr().lock().flush();
                if let Some(probed) = &mut *place.lock().unwrap_or_else(PoisonError::into_inner) {
                    probed.is_under_way = false;
                }
            });
        }
        let is_blocked = last.is_under_way && now.duration_since(last.begun) >= LOG_WITHIN;
        is_blocked.then_some("logging blocked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_written_for_two_minutes_is_told() {
        let now = Instant::now();
        let probe = LogProbe::default();
        let set = |age: u64, is_under_way: bool| {
            let begun = now.checked_sub(Duration::from_secs(age)).expect("the machine runs for longer");
            *probe.0.lock().unwrap() = Some(Probed { begun, is_under_way });
        };
        set(119, true);
        assert_eq!(probe.failure(), None);
        set(121, true);
        assert_eq!(probe.failure(), Some("logging blocked"));
        set(30, false);
        assert_eq!(probe.failure(), None);
    }
}
