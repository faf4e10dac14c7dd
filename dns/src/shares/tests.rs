use super::*;

#[test]
fn each_client_has_its_own_part_and_gives_it_back() {
    let shares = Shares::new(2);
    let [one, other] = [[10, 244, 0, 1], [10, 244, 0, 2]].map(IpAddr::from);
    let held = [shares.take(one), shares.take(one)];
    assert!(held.iter().all(Option::is_some) && shares.take(one).is_none());
    assert!(shares.take(other).is_some());
    drop(held);
    assert!(shares.take(one).is_some());
    assert!(shares.lock().is_empty(), "whoever has nothing is not remembered");
}
