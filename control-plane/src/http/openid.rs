//! Who issues service account tokens, for those who check them themselves (OpenID Connect
//! Discovery).
//!
//! In: the tokens room. Out: its documents, which may be kept for an hour.

use http::header;
use nodeplane_api::status::Status;
use serde_json::Value;

use super::{Api, call::Call, codec::Codec, negotiate::Form, reply::Reply};

/// Upstream's `maxAge`.
const KEPT: &str = "public, max-age=3600";

/// `/.well-known/openid-configuration`.
///
/// # Errors
/// 406.
pub(super) fn configuration(api: &Api, call: &Call) -> Result<Reply, Status> {
    let keys = format!("https://{}/openid/v1/jwks", api.address);
    answer(call, "application/json", &api.tokens.configuration(&keys))
}

/// `/openid/v1/jwks`.
///
/// # Errors
/// 406.
pub(super) fn keys(api: &Api, call: &Call) -> Result<Reply, Status> {
    answer(call, "application/jwk-set+json", &api.tokens.keys())
}

fn answer(call: &Call, content_type: &'static str, document: &Value) -> Result<Reply, Status> {
    // Clients ask for this type as such, and upstream gives it whatever they accept.
    let accepts_it = call.header(&header::ACCEPT).contains(content_type);
    if !accepts_it && Form::of_document(call)? != Codec::Json {
        return Err(Status::not_acceptable());
    }
    Ok(Reply::ok(content_type, document.to_string()).with_header(header::CACHE_CONTROL, KEPT))
}
