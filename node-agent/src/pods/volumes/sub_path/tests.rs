//! Parts of volumes on a real file system, against containers that mean harm. Needs root.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::SubPath;
use crate::pods::volumes::mounts::unmount_below;

struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let bed = Self { dir: tempfile::tempdir().expect("a directory") };
        for name in ["volume", "node"] {
            fs::create_dir(bed.path(name)).expect("a directory");
        }
        fs::write(bed.path("node/secret"), "of the node").expect("a file");
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn part(&self, relative: &str) -> SubPath {
        SubPath { root: self.path("volume"), relative: relative.into(), place: self.path("places/0") }
    }

    fn refused(&self, relative: &str) -> String {
        self.part(relative).bind().expect_err("a refusal").to_string()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        unmount_below(self.dir.path()).expect("nothing stays mounted");
    }
}

#[test]
fn a_part_is_made_and_mounted_again_and_again() {
    let bed = Bed::new();
    let part = bed.part("a/b");
    for _ in 0..2 {
        part.bind().expect("a place");
    }
    fs::write(bed.path("volume/a/b/file"), "x").expect("a file");
    assert_eq!(fs::read_to_string(part.place.join("file")).expect("a file"), "x");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert_eq!(mounts.matches(part.place.to_string_lossy().as_ref()).count(), 1, "one mount is enough");
    // A container has put another directory there since: the next start gets that one.
    fs::rename(bed.path("volume/a/b"), bed.path("volume/old")).expect("a rename");
    part.bind().expect("a place");
    assert!(!part.place.join("file").exists() && bed.path("volume/a/b").is_dir());
    // And now it is a file.
    fs::remove_dir(bed.path("volume/a/b")).expect("a removal");
    fs::write(bed.path("volume/a/b"), "now a file").expect("a file");
    part.bind().expect("a place");
    assert_eq!(fs::read_to_string(&part.place).expect("a file"), "now a file");
    bed.part(".").bind().expect("the volume itself");
    assert!(bed.path("places/0/a").is_dir());
}

#[test]
fn links_lead_about_in_the_volume_and_never_out() {
    let bed = Bed::new();
    fs::create_dir(bed.path("volume/real")).expect("a directory");
    for (target, name) in [
        ("real", "inside"),
        ("../node", "up"),
        ("/proc/self/root", "magic"),
        ("nowhere", "dangling"),
        ("../node/new", "dangling-out"),
    ] {
        symlink(target, bed.path("volume").join(name)).expect("a link");
    }
    symlink(bed.path("node"), bed.path("volume/out")).expect("a link");
    bed.part("inside/new").bind().expect("a place");
    assert!(bed.path("volume/real/new").is_dir());
    for way in ["out", "out/new", "up", "up/new", "up/secret", "magic/etc", "dangling", "dangling/x", "dangling-out"] {
        let refused = bed.refused(way);
        assert!(refused.starts_with(&format!("subpath \"{way}\" ")), "{refused}");
    }
    assert!(bed.refused("out").contains("is not within volume path"), "{}", bed.refused("out"));
    let names: Vec<_> = fs::read_dir(bed.path("node")).expect("a directory").flatten().collect();
    assert_eq!(names.len(), 1, "nothing was made there");
}

#[test]
fn a_directory_that_turns_into_a_link_while_it_is_looked_at_never_leads_out() {
    let bed = Bed::new();
    // What a container does (CVE-2021-25741): a directory and a link to the node change places.
    fs::create_dir_all(bed.path("volume/way/secret")).expect("a directory");
    symlink(bed.path("node"), bed.path("volume/link")).expect("a link");
    let over = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    let (way, link) = (bed.path("volume/way"), bed.path("volume/link"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &way, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).expect("a swap");
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (mut mounted, mut refused) = (0, 0);
        for round in 0..20_000 {
            let part = bed.part("way/secret");
            match part.bind() {
                Ok(()) => mounted += 1,
                Err(_) => refused += 1,
            }
            if part.place.is_file() {
                over.store(true, Ordering::Relaxed);
                panic!("the node's file is mounted after {round} rounds");
            }
            if mounted > 100 && refused > 100 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(mounted > 0 && swaps.load(Ordering::Relaxed) > 0, "{mounted} mounted, {refused} refused");
    });
}

#[test]
fn directories_on_the_way_are_the_groups_that_the_volume_is() {
    let bed = Bed::new();
    let volume = bed.path("volume");
    chown(&volume, None, Some(1234)).expect("a group");
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o2777)).expect("a mode");
    bed.part("a/b").bind().expect("a place");
    for path in ["volume/a", "volume/a/b", "places/0"] {
        let meta = fs::metadata(bed.path(path)).expect("a directory");
        assert_eq!((meta.gid(), meta.mode() & 0o7777), (1234, 0o2777), "{path}");
    }
    // What was there stays as it is.
    fs::set_permissions(bed.path("volume/a"), fs::Permissions::from_mode(0o700)).expect("a mode");
    bed.part("a/c").bind().expect("a place");
    assert_eq!(fs::metadata(bed.path("volume/a")).expect("a directory").mode() & 0o7777, 0o700);
}
