//! Mounts and trees on a real file system. Needs root.

use std::{fs, path::Path};

use nix::mount::{MsFlags, mount};

use super::{points, remove_tree, unmount_below};

fn bind(source: &Path, target: &Path) {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a mount");
}

#[test]
fn mount_points_with_spaces_are_read_as_they_are() {
    let text = b"1 2 0:1 / /a\\040b\\011c\\012d\\134e rw - tmpfs none rw\n3 4 0:2 / /plain\\9 rw - tmpfs none rw\n";
    assert_eq!(points(text), [Path::new("/a b\tc\nd\\e"), Path::new("/plain\\9")]);
}

#[test]
fn a_mount_with_a_space_in_its_name_goes_and_what_is_behind_it_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, pod) = (dir.path().join("node"), dir.path().join("pod"));
    let place = pod.join("with space");
    for path in [&node, &place] {
        fs::create_dir_all(path).expect("a directory");
    }
    fs::write(node.join("kept"), "x").expect("a file");
    // Twice on top of each other.
    bind(&node, &place);
    bind(&node, &place);
    // A state directory may be reached by a link.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&pod, &link).expect("a link");
    unmount_below(&link).expect("nothing is mounted");
    assert!(!place.join("kept").exists());
    remove_tree(&pod).expect("a removal");
    assert!(node.join("kept").exists() && !pod.exists());
    unmount_below(&pod).expect("what is gone has no mounts");
    remove_tree(&pod).expect("what is gone can be removed again");
}

#[test]
fn nothing_is_removed_through_a_mount() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, pod) = (dir.path().join("node"), dir.path().join("pod"));
    // On the same file system, so that its number tells nothing.
    for path in [&node, &pod.join("a/mounted"), &pod.join("b")] {
        fs::create_dir_all(path).expect("a directory");
    }
    for file in [node.join("kept"), pod.join("a/file"), pod.join("b/file")] {
        fs::write(file, "x").expect("a file");
    }
    let place = pod.join("a/mounted");
    bind(&node, &place);
    let refused = remove_tree(&pod).expect_err("a refusal").to_string();
    let kept = fs::read_to_string(node.join("kept"));
    unmount_below(&pod).expect("nothing is mounted");
    assert_eq!(kept.expect("a file"), "x");
    assert!(refused.contains("a/mounted is a mount point"), "{refused}");
    // A file that something is mounted on is not removed either.
    let file = pod.join("file");
    fs::write(&file, "").expect("a file");
    bind(&node.join("kept"), &file);
    let refused = remove_tree(&pod).expect_err("a refusal").to_string();
    unmount_below(&pod).expect("nothing is mounted");
    assert!(refused.contains("file is a mount point"), "{refused}");
    remove_tree(&pod).expect("a removal");
    assert!(node.join("kept").exists() && !pod.exists());
}

#[test]
fn links_are_removed_and_not_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, pod) = (dir.path().join("node"), dir.path().join("pod"));
    for path in [&node, &pod] {
        fs::create_dir(path).expect("a directory");
    }
    fs::write(node.join("kept"), "x").expect("a file");
    std::os::unix::fs::symlink(&node, pod.join("link")).expect("a link");
    remove_tree(&pod).expect("a removal");
    assert!(node.join("kept").exists() && !pod.exists());
    std::os::unix::fs::symlink(&node, &pod).expect("a link");
    remove_tree(&pod).expect_err("a link is no directory");
    assert!(node.join("kept").exists());
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    use nix::{
        fcntl::{OFlag, open, openat},
        sys::stat::{Mode, mkdirat},
    };
    let dir = tempfile::tempdir().expect("a directory");
    let pod = dir.path().join("pod");
    fs::create_dir(&pod).expect("a directory");
    let mut at = open(&pod, OFlag::O_PATH, Mode::empty()).expect("a directory");
    for _ in 0..5000 {
        mkdirat(&at, "d", Mode::S_IRWXU).expect("a directory");
        at = openat(&at, "d", OFlag::O_PATH, Mode::empty()).expect("a directory");
    }
    drop(at);
    remove_tree(&pod).expect("a removal");
    assert!(!pod.exists());
}
