//! Volumes on a real file system.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{
    Tokens, VolumeError, atomic, mounts, path,
    payload::{File, Payload},
    prepare, remove,
};
use crate::pods::{
    downward::Downward,
    env::Found,
    fixtures::{self, NODE},
    paths::{Paths, PodPaths},
    pod::PodExt,
};

struct Bed {
    dir: tempfile::TempDir,
    found: Found,
}

impl Bed {
    fn new() -> Self {
        let map = json!({ "data": { "color": "blue", "size": "big" }, "binaryData": { "raw": "AAE=" } });
        let secret = json!({ "data": { "token": "c2VjcmV0" } });
        let found = Found {
            config_maps: [("config".to_owned(), serde_json::from_value(map).expect("a map"))].into(),
            secrets: [("keys".to_owned(), serde_json::from_value(secret).expect("a secret"))].into(),
        };
        Self { dir: tempfile::tempdir().expect("a directory"), found }
    }

    fn paths(&self) -> PodPaths {
        Paths::new(self.dir.path()).pod("u")
    }

    fn pod(&self, volume: Value) -> Pod {
        let volume = fixtures::with(json!({ "name": "v" }), volume);
        let mut pod = fixtures::pod(json!({ "volumes": [volume] }));
        pod.metadata.labels = Some([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1\n".to_owned())].into());
        pod
    }

    fn prepare(&self, pod: &Pod) -> Result<PathBuf, VolumeError> {
        let downward = Downward { pod, address: None, host: Ipv4Addr::LOCALHOST, node: NODE };
        let tokens = Tokens::from([(("v".to_owned(), "token".to_owned()), "a-token".to_owned())]);
        prepare(pod, &self.paths(), &self.found, &tokens, &downward)?;
        Ok(path(&PodExt::spec(pod).volumes.as_ref().expect("volumes")[0], &self.paths()))
    }

    fn made(&self, volume: Value) -> PathBuf {
        self.prepare(&self.pod(volume)).expect("a volume")
    }

    fn refused(&self, volume: Value) -> String {
        self.prepare(&self.pod(volume)).expect_err("a refusal").to_string()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        mounts::unmount_below(self.dir.path()).expect("nothing stays mounted");
    }
}

/// Files by name with content and mode, through the links.
fn shown(dir: &Path) -> Vec<(String, String, u32)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("..") {
            continue;
        }
        let content = fs::read(entry.path()).expect("a file");
        let mode = fs::metadata(entry.path()).expect("a file").mode() & 0o777;
        all.push((name, String::from_utf8_lossy(&content).into_owned(), mode));
    }
    all.sort();
    all
}

fn file(name: &str, content: &str, mode: u32) -> (String, String, u32) {
    (name.to_owned(), content.to_owned(), mode)
}

#[test]
fn config_maps_and_secrets_become_files() {
    let bed = Bed::new();
    assert_eq!(
        shown(&bed.made(json!({ "configMap": { "name": "config" } }))),
        [file("color", "blue", 0o644), file("raw", "\0\u{1}", 0o644), file("size", "big", 0o644)]
    );
    let items = json!([{ "key": "color", "path": "c", "mode": 0o600 }]);
    let chosen = bed.made(json!({ "configMap": { "name": "config", "items": items, "defaultMode": 0o400 } }));
    assert_eq!(shown(&chosen), [file("c", "blue", 0o600)]);
    let secret = bed.made(json!({ "secret": { "secretName": "keys", "defaultMode": 0o400 } }));
    assert_eq!(shown(&secret), [file("token", "secret", 0o400)]);
}

#[test]
fn fields_and_tokens_become_files() {
    let bed = Bed::new();
    let items = json!([
        { "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } },
        { "path": "cpu", "resourceFieldRef": { "containerName": "app", "resource": "limits.cpu" } },
    ]);
    let downward = bed.made(json!({ "downwardAPI": { "items": items } }));
    assert_eq!(shown(&downward), [file("cpu", "4", 0o644), file("labels", "a=\"1\\n\"\nb=\"2\"", 0o644)]);
    let sources = json!([
        { "serviceAccountToken": { "path": "token" } },
        { "configMap": { "name": "config", "items": [{ "key": "color", "path": "color" }] } },
        { "secret": { "name": "keys", "items": [{ "key": "token", "path": "key" }] } },
    ]);
    let projected = bed.made(json!({ "projected": { "sources": sources } }));
    assert_eq!(
        shown(&projected),
        [file("color", "blue", 0o644), file("key", "secret", 0o644), file("token", "a-token", 0o644)]
    );
}

#[test]
fn what_is_missing_is_named_unless_it_may_be() {
    let bed = Bed::new();
    let start = "MountVolume.SetUp failed for volume \"v\" : ";
    for (volume, reason) in [
        (json!({ "configMap": { "name": "none" } }), "configmap \"none\" not found"),
        (json!({ "secret": { "secretName": "none" } }), "secret \"none\" not found"),
        (
            json!({ "configMap": { "name": "config", "items": [{ "key": "none", "path": "x" }] } }),
            "references non-existent config key: none",
        ),
        (
            json!({ "configMap": { "name": "config", "items": [{ "key": "color", "path": "../x" }] } }),
            "invalid path: ../x",
        ),
        (json!({ "nfs": { "server": "s", "path": "/" } }), "this kind of volume is not supported on this node"),
    ] {
        assert_eq!(bed.refused(volume), format!("{start}{reason}"));
    }
    assert_eq!(shown(&bed.made(json!({ "secret": { "secretName": "none", "optional": true } }))), []);
}

#[test]
fn files_change_with_their_object_and_stay_when_it_stays() {
    let mut bed = Bed::new();
    let dir = bed.made(json!({ "configMap": { "name": "config" } }));
    let version = fs::read_link(dir.join("..data")).expect("a link");
    bed.made(json!({ "configMap": { "name": "config" } }));
    assert_eq!(fs::read_link(dir.join("..data")).expect("a link"), version, "nothing is written when nothing changed");
    let data = json!({ "data": { "color": "red", "shape": "round" } });
    bed.found.config_maps.insert("config".to_owned(), serde_json::from_value(data).expect("a map"));
    bed.made(json!({ "configMap": { "name": "config" } }));
    assert_eq!(shown(&dir), [file("color", "red", 0o644), file("shape", "round", 0o644)]);
    assert_eq!(versions(&dir), 1, "old versions go");
}

/// How many versions lie in a volume, finished or not.
fn versions(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).count()
}

#[test]
fn an_agent_that_ended_while_it_wrote_leaves_nothing_half_done() {
    let bed = Bed::new();
    let volume = json!({ "configMap": { "name": "config" } });
    let dir = bed.made(volume.clone());
    // It ended before a name was linked, before the old version was removed, and in the middle of
    // writing a new one.
    fs::remove_file(dir.join("color")).expect("a link");
    std::os::unix::fs::symlink("..data/gone", dir.join("gone")).expect("a link");
    for left in ["..old", "..new/nested"] {
        fs::create_dir_all(dir.join(left)).expect("a directory");
        fs::write(dir.join(left).join("secret"), "x").expect("a file");
    }
    std::os::unix::fs::symlink("..new", dir.join("..data_tmp")).expect("a link");
    bed.made(volume);
    assert_eq!(shown(&dir), [file("color", "blue", 0o644), file("raw", "\0\u{1}", 0o644), file("size", "big", 0o644)]);
    assert_eq!(versions(&dir), 1, "nothing of the others is left");
}

#[test]
fn what_a_sub_path_made_in_a_volume_does_not_hinder_a_change() {
    let mut bed = Bed::new();
    let dir = bed.made(json!({ "configMap": { "name": "config" } }));
    fs::create_dir(dir.join("made")).expect("a directory");
    let data = json!({ "data": { "color": "red" } });
    bed.found.config_maps.insert("config".to_owned(), serde_json::from_value(data).expect("a map"));
    bed.made(json!({ "configMap": { "name": "config" } }));
    assert_eq!(fs::read_to_string(dir.join("color")).expect("a file"), "red");
    assert!(dir.join("made").is_dir());
}

#[test]
fn a_group_may_read_what_it_is_given() {
    let bed = Bed::new();
    let mut pod = bed.pod(json!({ "secret": { "secretName": "keys", "defaultMode": 0o400 } }));
    let security = serde_json::from_value(json!({ "fsGroup": 1234 })).expect("a context");
    pod.spec.as_mut().expect("a specification").security_context = Some(security);
    let dir = bed.prepare(&pod).expect("a volume");
    let meta = fs::metadata(dir.join("token")).expect("a file");
    assert_eq!((meta.gid(), meta.mode() & 0o777), (1234, 0o440));
}

#[test]
fn readers_never_see_half_of_a_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = ["a", "b", "nested/c"];
    let payload = |version: u32| {
        let content = format!("{version}").repeat(2000).into_bytes();
        let one = |name: &&str| ((*name).to_owned(), File { content: content.clone(), mode: 0o644 });
        Payload(files.iter().map(one).collect())
    };
    atomic::write(dir.path(), &payload(0), None).expect("files");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0_u32;
                    while !over.load(Ordering::Relaxed) || reads == 0 {
                        // The directory behind the link is one version, whatever is written meanwhile.
                        let version = fs::read_link(dir.path().join("..data")).expect("the link is always there");
                        let version = dir.path().join(version);
                        let all: Vec<_> = files.iter().map(|name| fs::read(version.join(name))).collect();
                        // A version may go while it is read; then it is gone, not changed.
                        if let [Ok(a), Ok(b), Ok(c)] = all.as_slice() {
                            assert!(a == b && b == c && a.len() >= 2000, "half a change");
                            reads += 1;
                        }
                    }
                    reads
                })
            })
            .collect();
        for version in 1..=200 {
            atomic::write(dir.path(), &payload(version), None).expect("files");
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("a reader") > 0);
        }
    });
    assert_eq!(fs::read(dir.path().join("nested/c")).expect("a file"), "200".repeat(2000).into_bytes());
}

#[test]
fn scratch_space_is_everybodys_and_survives_an_agent() {
    let bed = Bed::new();
    let dir = bed.made(json!({ "emptyDir": {} }));
    assert_eq!(fs::metadata(bed.paths().dir()).expect("a directory").mode() & 0o777, 0o700, "the pod's own is not");
    assert_eq!(fs::metadata(&dir).expect("a directory").mode() & 0o7777, 0o777);
    fs::write(dir.join("kept"), "x").expect("a file");
    bed.made(json!({ "emptyDir": {} }));
    assert!(dir.join("kept").exists());
    remove(&bed.paths()).expect("removal");
    assert!(!bed.paths().dir().exists());
    remove(&bed.paths()).expect("what is gone can be removed again");
}

#[test]
fn scratch_space_has_its_mode_from_the_first_moment() {
    let bed = Bed::new();
    let dir = bed.paths().volume("empty-dir", "v");
    // An agent ended after it made the directory and before it gave it away.
    let half = dir.with_file_name("..v");
    fs::create_dir_all(&half).expect("a directory");
    fs::set_permissions(&half, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
    let mut pod = bed.pod(json!({ "emptyDir": {} }));
    let security = serde_json::from_value(json!({ "fsGroup": 1234 })).expect("a context");
    pod.spec.as_mut().expect("a specification").security_context = Some(security);
    assert_eq!(bed.prepare(&pod).expect("a volume"), dir);
    let meta = fs::metadata(&dir).expect("a directory");
    assert_eq!((meta.gid(), meta.mode() & 0o7777), (1234, 0o2777));
    assert!(!half.exists());
    let memory = bed.paths().volume("empty-dir", "m");
    pod.spec.as_mut().expect("a specification").volumes =
        serde_json::from_value(json!([{ "name": "m", "emptyDir": { "medium": "Memory" } }])).expect("volumes");
    bed.prepare(&pod).expect("a volume");
    let meta = fs::metadata(&memory).expect("a directory");
    assert_eq!((meta.gid(), meta.mode() & 0o7777), (1234, 0o2777));
}

#[test]
fn scratch_space_in_memory_has_its_size_and_goes_away() {
    let bed = Bed::new();
    let dir = bed.made(json!({ "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }));
    bed.made(json!({ "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }));
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let ours: Vec<&str> = mounts.lines().filter(|line| line.contains(dir.to_string_lossy().as_ref())).collect();
    assert!(ours.len() == 1 && ours[0].contains("tmpfs") && ours[0].contains("size=1024k"), "{ours:?}");
    fs::write(dir.join("x"), "x").expect("a file");
    remove(&bed.paths()).expect("removal");
    assert!(!dir.exists());
}

#[test]
fn paths_of_the_node_are_checked() {
    let bed = Bed::new();
    let base = bed.dir.path().join("node");
    fs::create_dir(&base).expect("a directory");
    fs::write(base.join("file"), "x").expect("a file");
    let of = |name: &str, kind: &str| json!({ "hostPath": { "path": base.join(name), "type": kind } });
    for (name, kind) in
        [("file", "File"), ("", "Directory"), ("new", "DirectoryOrCreate"), ("fresh", "FileOrCreate"), ("any", "")]
    {
        bed.made(of(name, kind));
        assert!(base.join(name).exists(), "{name} {kind}");
    }
    let refused = bed.refused(of("file", "Directory"));
    assert!(refused.contains("hostPath type check failed: ") && refused.ends_with("is not a directory"), "{refused}");
    assert!(bed.refused(of("none", "Socket")).contains("is not a socket file"));
    // What is there must be what would have been made.
    assert!(bed.refused(of("file", "DirectoryOrCreate")).ends_with("is not a directory"));
    assert!(bed.refused(of("new", "FileOrCreate")).ends_with("is not a file"));
}
