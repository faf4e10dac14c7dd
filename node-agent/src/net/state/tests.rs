use tempfile::TempDir;

use super::*;

#[test]
fn the_first_value_of_each_start_of_the_machine_is_kept() {
    let folder = TempDir::new().expect("folder");
    let state = State::in_folder(&folder.path().join("below"));
    assert_eq!(state.at_boot("one"), None);
    state.remember("0", "one").expect("written");
    state.remember("1", "one").expect("kept");
    assert_eq!(state.at_boot("one").as_deref(), Some("0"));
    // Whoever set the machine up after a new start has made it a router.
    assert_eq!(state.at_boot("two"), None);
    state.remember("1", "two").expect("written");
    assert_eq!(state.at_boot("two").as_deref(), Some("1"));
    for _ in 0..2 {
        state.forget().expect("removed");
    }
    assert_eq!(fs::read_dir(folder.path().join("below")).expect("folder").count(), 0);
}

#[test]
fn a_file_that_cannot_be_read_is_as_none() {
    let folder = TempDir::new().expect("folder");
    let state = State::in_folder(folder.path());
    // As power losses and agents of before left it.
    for text in ["", "{", r#"{"ip_forward":"0"}"#] {
        fs::write(&state.path, text).expect("written");
        assert_eq!(state.forwarding().expect("asked"), None, "{text:?}");
    }
    state.remember_forwarding("1").expect("written anew");
    assert_eq!(state.forwarding().expect("asked").as_deref(), Some("1"));
}
