//! Lines of any length.

use super::{LONGEST, Lines};

#[test]
fn a_line_without_an_end_is_not_kept_in_memory() {
    let since = "2024-01-01T00:00:01Z".parse().expect("a time");
    let piece = vec![b'x'; 10_000];
    for (time, is_kept) in [("2024-01-01T00:00:00Z", false), ("2024-01-01T00:00:02Z", true)] {
        let mut lines = Lines::new(since, false);
        let mut out = lines.push(format!("{time} ").as_bytes()).to_vec();
        for _ in 0..100 {
            out.extend_from_slice(&lines.push(&piece));
            assert!(lines.rest.len() <= LONGEST + piece.len(), "{}", lines.rest.len());
        }
        out.extend_from_slice(&lines.push(b"end\n2024-01-01T00:00:03Z next\n"));
        out.extend_from_slice(&lines.finish());
        let long = if is_kept { "x".repeat(1_000_000) + "end\n" } else { String::new() };
        assert!(out == format!("{long}next\n").into_bytes(), "{} bytes", out.len());
    }
}
