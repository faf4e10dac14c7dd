//! Calls on the API: the metrics `apiserver_request_*` and those about answers.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::Duration,
};

use nodeplane_metrics::{Bounds, Counter, Gauge, Histogram, Labels, Series, Text};

use super::LATENCIES;

static TIMES: Bounds = Bounds::seconds(LATENCIES);
/// Those of what is promised do not tell short times apart.
static PROMISED_TIMES: Bounds = Bounds::seconds(LATENCIES.split_at(2).1);
static SIZES: Bounds = Bounds::plain(&[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]);

static CALLS: LazyLock<Series<Asked, Calls>> = LazyLock::new(|| Series::new(Calls::new));

/// Connections that did not get as far as a call.
pub static HANDSHAKES_FAILED: Counter = Counter::new();

/// The methods that metrics tell apart.
pub const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// What a call asks for, as far as metrics tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    /// Such as `GET`, `LIST` or `WATCH`.
    pub verb: &'static str,
    /// `All`, or `invalid`, or nothing.
    pub dry_run: &'static str,
    /// The group of the kind.
    pub group: &'static str,
    /// The version of the kind.
    pub version: &'static str,
    /// The plural of the kind; empty for what is not about objects.
    pub resource: &'static str,
    /// The part of the object, or the path of what is not about objects.
    pub subresource: &'static str,
    /// `resource`, `namespace` or `cluster`.
    pub scope: &'static str,
}

impl Asked {
    fn without_dry_run(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut pairs = self.pairs();
        pairs.retain(|(name, _)| *name != "dry_run");
        pairs
    }
}

impl Labels for Asked {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let Self { verb, dry_run, group, version, resource, subresource, scope } = *self;
        vec![
            ("component", "apiserver".into()),
            ("dry_run", dry_run.into()),
            ("group", group.into()),
            ("resource", resource.into()),
            ("scope", scope.into()),
            ("subresource", subresource.into()),
            ("verb", verb.into()),
            ("version", version.into()),
        ]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Code(u16);

impl Labels for Code {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("code", self.0.to_string().into())]
    }
}

/// The calls that ask for the same.
pub struct Calls {
    by_code: Series<Code, Counter>,
    given_up: Series<Code, Counter>,
    times: Histogram,
    promised_times: Histogram,
    sizes: Histogram,
    running: Gauge,
}

impl Calls {
    fn new() -> Self {
        Self {
            by_code: Series::new(Counter::new),
            given_up: Series::new(Counter::new),
            times: Histogram::new(&TIMES),
            promised_times: Histogram::new(&PROMISED_TIMES),
            sizes: Histogram::new(&SIZES),
            running: Gauge::new(),
        }
    }

    /// A call was answered.
    pub fn answered(&self, code: u16, took: Duration) {
        self.by_code.with(&Code(code), Counter::inc);
        self.times.took(took);
        self.promised_times.took(took);
    }

    /// An answer that goes on begins; see [`Self::ended`].
    pub fn began(&self) {
        self.running.add(1);
    }

    /// An answer that went on has ended.
    pub fn ended(&self, code: u16, took: Duration) {
        self.running.add(-1);
        self.answered(code, took);
    }
}

/// A call was answered at once.
pub fn answered(asked: &Asked, code: u16, size: usize, took: Duration) {
    CALLS.with(asked, |calls| {
        calls.answered(code, took);
        if matches!(asked.verb, "GET" | "LIST") {
            calls.sizes.observe(size as u64);
        }
    });
}

/// A call was given up to protect the server.
pub fn given_up(asked: &Asked, code: u16) {
    CALLS.with(asked, |calls| calls.given_up.with(&Code(code), Counter::inc));
}

/// The calls that ask for this, for an answer that goes on.
pub fn calls(asked: &Asked) -> Arc<Calls> {
    CALLS.of(asked)
}

/// Shows them.
pub(super) fn show(text: &mut Text) {
    let all = CALLS.all();
    let name = "apiserver_request_total";
    let help = "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, \
                scope, component, and HTTP response code.";
    let mut group = text.group(name, "counter", help);
    for (asked, calls) in &all {
        for (code, counter) in calls.by_code.all() {
            group.count(&[code.pairs(), asked.pairs()].concat(), counter.get());
        }
    }
    let name = "apiserver_request_terminations_total";
    let mut group = text.group(name, "counter", "Number of requests which apiserver terminated in self-defense.");
    for (asked, calls) in &all {
        for (code, counter) in calls.given_up.all() {
            group.count(&[code.pairs(), asked.without_dry_run()].concat(), counter.get());
        }
    }
    let name = "apiserver_longrunning_requests";
    let help = "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, \
                scope and component. Not all requests are tracked this way.";
    let mut group = text.group(name, "gauge", help);
    for (asked, calls) in all.iter().filter(|(asked, _)| matches!(asked.verb, "WATCH" | "CONNECT")) {
        group.level(&asked.without_dry_run(), calls.running.get());
    }
    show_distributions(text, &all);
    let name = "apiserver_tls_handshake_errors_total";
    let help = "Number of requests dropped with 'TLS handshake error from' error";
    text.group(name, "counter", help).count::<&str>(&[], HANDSHAKES_FAILED.get());
}

fn show_distributions(text: &mut Text, all: &[(Asked, Arc<Calls>)]) {
    let name = "apiserver_request_duration_seconds";
    let help = "Response latency distribution in seconds for each verb, dry run value, group, version, resource, \
                subresource, scope and component.";
    let mut group = text.group(name, "histogram", help);
    for (asked, calls) in all.iter().filter(|(_, calls)| calls.times.count() > 0) {
        group.histogram(&asked.pairs(), &calls.times);
    }
    let name = "apiserver_request_sli_duration_seconds";
    let help = "Response latency distribution (not counting webhook duration and priority & fairness queue wait \
                times) in seconds for each verb, group, version, resource, subresource, scope and component.";
    let mut group = text.group(name, "histogram", help);
    let is_real = |asked: &Asked, calls: &Calls| asked.dry_run.is_empty() && calls.promised_times.count() > 0;
    for (asked, calls) in all.iter().filter(|(asked, calls)| is_real(asked, calls)) {
        group.histogram(&asked.without_dry_run(), &calls.promised_times);
    }
    let name = "apiserver_response_sizes";
    let help = "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and \
                component.";
    let mut group = text.group(name, "histogram", help);
    let is_read = |asked: &Asked, calls: &Calls| asked.dry_run.is_empty() && calls.sizes.count() > 0;
    for (asked, calls) in all.iter().filter(|(asked, calls)| is_read(asked, calls)) {
        group.histogram(&asked.without_dry_run(), &calls.sizes);
    }
}
