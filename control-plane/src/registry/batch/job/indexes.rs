//! Sets of indexes as text: `1,3-5` (upstream `validateIndexesFormat`).

type Interval = (i64, i64);

/// How many indexes a text names, all below `completions`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let mut total = 0;
    let mut last = None;
    for part in parts(text) {
        let (start, end) = parse(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= start) {
            return Err(format!("non-increasing order, previous: {last}, current: {start}"));
        }
        total += end - start + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that both texts name. What cannot be read names nothing.
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let read = |text| parts(text).filter_map(|part| parse(part, completions).ok()).collect::<Vec<Interval>>();
    let others = read(other);
    let common = read(one).into_iter().flat_map(|(start, end)| {
        let shared = others.iter().filter(move |(from, to)| start <= *to && *from <= end);
        shared.map(move |(from, _)| start.max(*from)).collect::<Vec<_>>()
    });
    common.min()
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn parse(part: &str, completions: i64) -> Result<Interval, String> {
    let number = |text: &str| {
        let number: i64 = text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if number >= completions { Err(format!("too large index: {text:?}")) } else { Ok(number) }
    };
    match part.split('-').collect::<Vec<_>>()[..] {
        [only] => number(only).map(|index| (index, index)),
        [start, end] => {
            let (start, end) = (number(start)?, number(end)?);
            if start >= end {
                return Err(format!("non-increasing order, previous: {start}, current: {end}"));
            }
            Ok((start, end))
        }
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated \
             by '-'"
        )),
    }
}
