use std::borrow::Cow;

use super::*;
use crate::Bounds;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Path(&'static str);

impl Labels for Path {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("path", self.0.into()), ("verb", "GET".into())]
    }
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    let cases = [
        (0.0, "0"),
        (0.005, "0.005"),
        (1.0, "1"),
        (1.25, "1.25"),
        (100_000.0, "100000"),
        (1e6, "1e+06"),
        (1_048_576.0, "1.048576e+06"),
        (1e-5, "1e-05"),
        (f64::INFINITY, "+Inf"),
    ];
    for (number, text) in cases {
        assert_eq!(shown(number), text);
    }
}

#[test]
fn a_text_is_what_prometheus_reads() {
    static BOUNDS: Bounds = Bounds::plain(&[1.0, 1000.0]);
    let counters = Series::new(Counter::new);
    counters.with(&Path("/a"), Counter::inc);
    let histograms = Series::new(|| Histogram::new(&BOUNDS));
    histograms.with(&Path("/b"), |histogram| histogram.observe(7));
    let mut text = Text::default();
    text.counters("asked_total", "How often.", &counters);
    text.histograms("size_bytes", "How large.", &histograms);
    text.group("up", "gauge", "Whether.").level::<&str>(&[], 1);
    let expected = "\
# HELP asked_total How often.
# TYPE asked_total counter
asked_total{path=\"/a\",verb=\"GET\"} 1
# HELP size_bytes How large.
# TYPE size_bytes histogram
size_bytes_bucket{path=\"/b\",verb=\"GET\",le=\"1\"} 0
size_bytes_bucket{path=\"/b\",verb=\"GET\",le=\"1000\"} 1
size_bytes_bucket{path=\"/b\",verb=\"GET\",le=\"+Inf\"} 1
size_bytes_sum{path=\"/b\",verb=\"GET\"} 7
size_bytes_count{path=\"/b\",verb=\"GET\"} 1
# HELP up Whether.
# TYPE up gauge
up 1
";
    assert_eq!(text.finish(), expected);
}

#[test]
fn values_cannot_break_out_of_their_quotes() {
    let mut text = Text::default();
    text.group("x", "counter", "one\ntwo").count(&[("a", "\"} 1\n\\")], 2);
    assert_eq!(text.finish(), "# HELP x one\\ntwo\n# TYPE x counter\nx{a=\"\\\"} 1\\n\\\\\"} 2\n");
}
