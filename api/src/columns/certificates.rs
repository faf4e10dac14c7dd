//! Columns of requests for certificates.

use jiff::SignedDuration;
use serde_json::Value;

use super::{
    AGE, Column, NAME, age,
    cells::{self, NONE, items, str_at},
};

pub(crate) const CERTIFICATE_SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    Column::text("SignerName", "Who is to sign.", |request, _| cells::text_or(request, "/spec/signerName", NONE)),
    Column::text("Requestor", "Who asks.", |request, _| cells::text(request, "/spec/username")),
    Column::text("RequestedDuration", "How long the certificate is to hold.", |request, _| {
        let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64);
        seconds.map_or(NONE.to_owned(), |seconds| age::human(SignedDuration::from_secs(seconds))).into()
    }),
    Column::text("Condition", "What became of it.", |request, _| condition(request).into()),
];

fn condition(request: &Value) -> String {
    let has = |name: &str| items(request, "/status/conditions").any(|condition| condition["type"] == name);
    let decided = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if str_at(request, "/status/certificate").is_empty() { "" } else { ",Issued" };
    format!("{decided}{failed}{issued}")
}
