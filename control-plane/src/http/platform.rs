//! The server about itself: its version.

use serde_json::{Value, json};

/// Kubernetes minor version of the API that is served.
pub const MINOR: &str = "33";

/// The oldest minor version that the server can be taken for.
const COMPATIBLE_MINOR: &str = "32";

/// `/version`. Clients take `major` and `minor` as bare numbers.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": COMPATIBLE_MINOR,
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
