//! Which part of which log is wanted.
//!
//! In: the path and the query of a call. Out: a [`LogWish`], or what is wrong with it.

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};

use crate::pods::{LogError, LogRequest, runtime::RuntimeError};

/// A log, in pieces.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// What somebody wants to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWish {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Which lines of it.
    pub request: LogRequest,
}

impl LogWish {
    /// Reads `/containerLogs/NAMESPACE/POD/CONTAINER?QUERY`, without its first part.
    pub(super) fn parse(path: &[&str], query: &str, now: Timestamp) -> Result<Self, LogError> {
        let [namespace, pod, container] = *path else {
            let message = "the path is /containerLogs/NAMESPACE/POD/CONTAINER".to_owned();
            return Err(LogError { code: 404, message });
        };
        let mut wish = Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            ..Self::default()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let refuse = |()| LogError { code: 400, message: format!("invalid {name}: {value:?}") };
            wish.request.take(name, &decode(value), now).map_err(refuse)?;
        }
        Ok(wish)
    }
}

impl LogRequest {
    /// What is not known is left alone: newer servers may say more.
    fn take(&mut self, name: &str, value: &str, now: Timestamp) -> Result<(), ()> {
        let positive = || value.parse().ok().filter(|number| *number > 0).ok_or(());
        match name {
            "follow" => self.follow = flag(value),
            "previous" => self.previous = flag(value),
            "timestamps" => self.timestamps = flag(value),
            "tailLines" => self.tail = Some(value.parse().map_err(drop)?),
            "limitBytes" => self.limit_bytes = Some(positive()?),
            "sinceTime" => self.since = Some(value.parse().map_err(drop)?),
            "sinceSeconds" => {
                let seconds = i64::try_from(positive()?).map_err(drop)?;
                self.since = Some(now.checked_sub(SignedDuration::from_secs(seconds)).map_err(drop)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// As Kubernetes reads booleans in queries: what is not false is true.
fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0")
}

/// Undoes the percent signs of a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        bytes.push(match (byte, after) {
            (b'%', [upper, lower, left @ ..]) if upper.is_ascii_hexdigit() && lower.is_ascii_hexdigit() => {
                rest = left;
                digit(*upper) << 4 | digit(*lower)
            }
            (b'+', _) => b' ',
            _ => *byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(letter: u8) -> u8 {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2030-01-02T03:04:05Z".parse().expect("a time")
    }

    fn parse(query: &str) -> Result<LogWish, LogError> {
        LogWish::parse(&["ns", "pod", "main"], query, now())
    }

    #[test]
    fn a_plain_call_wants_everything_of_the_present_container() {
        let wish = parse("").expect("a wish");
        let expected =
            LogWish { namespace: "ns".into(), pod: "pod".into(), container: "main".into(), ..LogWish::default() };
        assert_eq!(wish, expected);
        assert!(matches!(LogWish::parse(&["ns", "pod"], "", now()), Err(LogError { code: 404, .. })));
    }

    #[test]
    fn every_option_is_read() {
        let query = "follow=true&previous=false&timestamps=1&tailLines=0&limitBytes=10&sinceTime=2029-12-31T23%3A00%3A00%2B01%3A00&pretty=true";
        let wish = parse(query).expect("a wish");
        let since = "2029-12-31T22:00:00Z".parse().expect("a time");
        let expected = LogRequest {
            follow: true,
            previous: false,
            tail: Some(0),
            since: Some(since),
            timestamps: true,
            limit_bytes: Some(10),
        };
        assert_eq!(wish.request, expected);
        let wish = parse("sinceSeconds=65").expect("a wish");
        assert_eq!(wish.request.since.map(|time| time.to_string()).as_deref(), Some("2030-01-02T03:03:00Z"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for query in ["tailLines=-1", "tailLines=all", "limitBytes=0", "sinceSeconds=0", "sinceTime=yesterday"] {
            let (name, value) = query.split_once('=').expect("a pair");
            let refused = LogError { code: 400, message: format!("invalid {name}: {value:?}") };
            assert_eq!(parse(query), Err(refused));
        }
    }
}
