//! The server about itself: its version and whether it is well.

use http::StatusCode;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::{call::Call, reply::Reply};

/// Kubernetes minor version of the API that is served.
pub const MINOR: &str = "33";

/// `/version`. Clients take `major` and `minor` as bare numbers.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+nodeplane"),
        "gitCommit": env!("CARGO_PKG_VERSION"),
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "rust",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

/// The architecture in the words of Go, as clients compare it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// One thing that can be well or not.
pub struct Check {
    /// Name, as in `[+]ping ok`.
    pub name: &'static str,
    /// What is wrong with it.
    pub failure: Option<String>,
}

/// Answers a probe from the state of all checks.
///
/// # Errors
/// 404 for a check that does not exist.
pub fn health(call: &Call, probe: &str, only: Option<&str>, checks: &[Check]) -> Result<Reply, Status> {
    let chosen: Vec<&Check> = match only {
        Some(name) => vec![checks.iter().find(|c| c.name == name).ok_or_else(Status::no_such_path)?],
        None => checks.iter().filter(|c| !call.query.all("exclude").any(|name| name == c.name)).collect(),
    };
    let healthy = chosen.iter().all(|check| check.failure.is_none());
    let verbose = call.query.get("verbose").is_some();
    let text = match (healthy, verbose) {
        (true, false) => "ok".to_owned(),
        (true, true) => report(&chosen) + &format!("{probe} check passed\n"),
        (false, _) => report(&chosen) + &format!("{probe} check failed\n"),
    };
    let status = if healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let reply = Reply::new(status, "text/plain; charset=utf-8", text);
    Ok(reply
        .with_header(http::header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with_header(http::header::CACHE_CONTROL, "no-cache, private"))
}

fn report(checks: &[&Check]) -> String {
    let line = |check: &&Check| match &check.failure {
        None => format!("[+]{} ok\n", check.name),
        Some(reason) => format!("[-]{} failed: {reason}\n", check.name),
    };
    checks.iter().map(line).collect()
}
