use super::least;

fn status(mask: &str) -> String {
    format!("Name:\tagent\nCapPrm:\t000001ffffffffff\nCapEff:\t{mask}\n")
}

#[test]
fn with_the_capability_every_score_may_be_given() {
    assert_eq!(least(&status("000001ffffffffff"), "0\n"), -1000);
    assert_eq!(least(&status("0000000001000000"), "300\n"), -1000);
}

#[test]
fn without_it_none_below_ones_own() {
    assert_eq!(least(&status("000001fffeffffff"), "0\n"), 0);
    assert_eq!(least(&status("0000000000000000"), "-500\n"), -500);
    // Nothing that could be read: as without.
    assert_eq!(least("", ""), 0);
}
