//! Where a list goes on: `limit` and `continue`.
//!
//! In: tokens as clients send them back. Out: tokens, opaque to clients. A token names the
//! revision of its list, so that all pages show the same state.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nodeplane_api::status::Status;
use serde::{Deserialize, Serialize};

/// Version of the form of tokens.
const VERSION: &str = "meta.k8s.io/v1";

/// 410 for a page of a state that is no longer known, with a token that goes on in the present.
const INCONSISTENT: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter, or use the continue token in this response to \
    retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - \
    objects that were created, modified, or deleted between the time the first chunk was returned and now may \
    show up in the list.";

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The revision of the list; `None` goes on with what there is now.
    pub(super) revision: Option<u64>,
    /// The first key of the page, relative to the collection.
    pub(super) start: String,
}

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

impl Place {
    /// The place after a key of a collection.
    pub(super) fn after(key: &str, collection: &str, revision: u64) -> Self {
        let relative = key.strip_prefix(collection).unwrap_or(key);
        Self { revision: Some(revision), start: format!("{relative}\0") }
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 for a token that was not made here.
    pub(super) fn decode(token: &str) -> Result<Self, Status> {
        let refused = |why: &str| Status::bad_request(format!("invalid continue token: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused("continue key is not valid"))?;
        let Token { v, rv, start } =
            serde_json::from_slice(&bytes).map_err(|_| refused("continue key is not valid"))?;
        if v != VERSION {
            return Err(refused(&format!(
                "continue key is not valid: server does not recognize this encoded version \"{v}\""
            )));
        }
        if rv == 0 {
            return Err(refused(
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
        if start.is_empty() || start.starts_with('/') || start.split('/').any(|part| part == "..") {
            return Err(refused("continue key is not valid"));
        }
        Ok(Self { revision: u64::try_from(rv).ok(), start })
    }

    /// The token of this place.
    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(-1));
        let token = Token { v: VERSION.to_owned(), rv, start: self.start.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    /// The answer when the revision of this place is gone.
    pub(super) fn expired(&self) -> Status {
        let present = Self { revision: None, start: self.start.clone() };
        Status { continue_token: Some(present.encode()), ..Status::expired(INCONSISTENT) }
    }
}
