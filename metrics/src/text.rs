//! Prometheus' text format.
//!
//! In: names, labels and numbers. Out: text. Never counts.

use std::fmt::{Display, Write};

use crate::{Counter, Gauge, Histogram, Labels, Series};

/// What the text is.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Exponents below which, and from which on, Go writes a number with one.
const PLAIN_EXPONENTS: std::ops::Range<i32> = -4..6;

/// A text that grows.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a metric: what follows are its samples.
    pub fn group<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Group<'a> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Group { text: self, name }
    }

    /// A counter per set of labels.
    pub fn counters<L: Labels>(&mut self, name: &str, help: &str, series: &Series<L, Counter>) {
        let mut group = self.group(name, "counter", help);
        for (labels, counter) in series.all() {
            group.count(&labels.pairs(), counter.get());
        }
    }

    /// A gauge per set of labels.
    pub fn gauges<L: Labels>(&mut self, name: &str, help: &str, series: &Series<L, Gauge>) {
        let mut group = self.group(name, "gauge", help);
        for (labels, gauge) in series.all() {
            group.level(&labels.pairs(), gauge.get());
        }
    }

    /// A histogram per set of labels.
    pub fn histograms<L: Labels>(&mut self, name: &str, help: &str, series: &Series<L, Histogram>) {
        let mut group = self.group(name, "histogram", help);
        for (labels, histogram) in series.all() {
            group.histogram(&labels.pairs(), &histogram);
        }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = self.0.write_fmt(line);
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Group<'a> {
    text: &'a mut Text,
    name: &'a str,
}

impl Group<'_> {
    /// A number that was counted.
    pub fn count<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: u64) {
        self.sample(labels, value);
    }

    /// A number that goes up and down.
    pub fn level<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: i64) {
        self.sample(labels, value);
    }

    /// A number with a fraction.
    pub fn real<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: f64) {
        self.sample(labels, shown(value));
    }

    /// What a histogram holds.
    pub fn histogram<V: AsRef<str>>(&mut self, labels: &[(&str, V)], histogram: &Histogram) {
        let Self { text, name } = self;
        // Written once: a histogram has many lines.
        let labels = list(labels);
        let (inner, comma) = (&*labels, if labels.is_empty() { "" } else { "," });
        let mut count = 0;
        for (end, seen) in histogram.cumulated() {
            text.line(format_args!("{name}_bucket{{{inner}{comma}le=\"{}\"}} {seen}\n", shown(end)));
            count = seen;
        }
        let labels = braced(labels);
        text.line(format_args!("{name}_sum{labels} {}\n", shown(histogram.sum())));
        // Not counted anew: a reader takes the last bucket and the count to be equal.
        text.line(format_args!("{name}_count{labels} {count}\n"));
    }

    fn sample<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: impl Display) {
        let Self { text, name } = self;
        text.line(format_args!("{name}{} {value}\n", braced(list(labels))));
    }
}

/// Labels with their values, as they stand between braces.
fn list<V: AsRef<str>>(labels: &[(&str, V)]) -> String {
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value.as_ref()))).collect();
    labels.join(",")
}

fn braced(labels: String) -> String {
    if labels.is_empty() { labels } else { format!("{{{labels}}}") }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number as Go writes it in the shortest form.
fn shown(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !PLAIN_EXPONENTS.contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
