//! Calls that the parts of this process make themselves: `rest_client_requests_total`.

use std::{borrow::Cow, sync::LazyLock};

use http::Method;
use nodeplane_metrics::{Counter, Labels, Series, Text};

/// What stands for the address: these calls take no network.
const HOST: &str = "in-process";

static ERRANDS: LazyLock<Series<Errand, Counter>> = LazyLock::new(|| Series::new(Counter::new));

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Errand {
    code: u16,
    method: &'static str,
}

impl Labels for Errand {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("code", self.code.to_string().into()), ("host", HOST.into()), ("method", self.method.into())]
    }
}

/// A part of this process has called and got an answer.
pub fn run(method: &Method, code: u16) {
    let method = super::requests::METHODS.iter().find(|known| **known == method.as_str()).unwrap_or(&"other");
    ERRANDS.with(&Errand { code, method }, Counter::inc);
}

/// Shows them.
pub(super) fn show(text: &mut Text) {
    let help = "Number of HTTP requests, partitioned by status code, method, and host.";
    text.counters("rest_client_requests_total", help, &ERRANDS);
}
