//! Long answers made shorter for clients that can read them so (upstream's
//! `APIResponseCompression`).
//!
//! In: a reply. Out: the same, its body in gzip if it is long. Bodies that grow are left alone.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};
use tracing::warn;

use super::reply::{Body, Reply};

/// Bodies up to this size are not worth it.
const SHORT: usize = 128 * 1024;

/// Fast rather than small: most clients are near.
const LEVEL: Compression = Compression::new(1);

/// Whether the client reads gzip.
pub(super) fn is_welcome(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|token| token.trim() == "gzip")
}

/// The reply with a body as short as it may be.
pub(super) async fn shorten(mut reply: Reply) -> Reply {
    let body = match &reply.body {
        Body::Whole(bytes) if bytes.len() > SHORT && !reply.headers.contains_key(header::CONTENT_ENCODING) => {
            bytes.clone()
        }
        Body::Whole(_) | Body::Growing(_) => return reply,
    };
    // Takes long enough to keep other calls from getting on.
    match tokio::task::spawn_blocking(move || gzip(&body)).await {
        Ok(Ok(shorter)) => {
            reply.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            reply.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            reply.body = Body::Whole(shorter);
        }
        Ok(Err(error)) => warn!(%error, "an answer goes out as it is: it cannot be compressed"),
        Err(error) => warn!(%error, "an answer goes out as it is: it cannot be compressed"),
    }
    reply
}

fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), LEVEL);
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn headers(accepted: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
    }

    #[test]
    fn gzip_is_welcome_to_those_who_name_it() {
        for accepted in ["gzip", "deflate, gzip", "br,gzip ,deflate"] {
            assert!(is_welcome(&headers(accepted)), "{accepted}");
        }
        for accepted in ["", "identity", "gzipped", "gzip;q=0", "*"] {
            assert!(!is_welcome(&headers(accepted)), "{accepted}");
        }
        assert!(!is_welcome(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_long_body_goes_out_shorter_and_means_the_same() {
        let text = "{\"a\":1}".repeat(SHORT / 7 + 1);
        let reply = shorten(Reply::ok("application/json", text.clone())).await;
        assert_eq!(
            (&reply.headers[header::CONTENT_ENCODING], &reply.headers[header::VARY]),
            (&HeaderValue::from_static("gzip"), &HeaderValue::from_static("Accept-Encoding"))
        );
        let Body::Whole(bytes) = reply.body else { panic!("it grows") };
        assert!(bytes.len() < text.len() / 10);
        let mut read = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[tokio::test]
    async fn a_short_body_and_one_that_grows_stay_as_they_are() {
        let short = shorten(Reply::ok("application/json", vec![b' '; SHORT])).await;
        let growing = shorten(Reply::growing("application/json", futures::stream::empty())).await;
        for reply in [short, growing] {
            assert!(!reply.headers.contains_key(header::CONTENT_ENCODING));
        }
    }
}
