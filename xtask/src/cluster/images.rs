//! The sample's image, made here: no registry is asked.
//!
//! In: the sample server and a static busybox. Out: an image in the engine, made anew only when its content changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tar::{Builder, EntryType, Header};

use super::engine::docker;
use super::state::StateDir;
use crate::cmd::{Cmd, find_program};

/// The sample's image.
pub(crate) const HELLO: &str = "nodeplane/hello:1";

/// Images that a cluster of ours leaves in an engine: the sample's, and the agent's pause image.
const OURS: [&str; 2] = [HELLO, "nodeplane/pause:1"];

/// The label by which an image of ours tells what it was made of, also when a newer one has its name.
const CONTENT: &str = "nodeplane.content";

/// What became of our images.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What is gone.
    pub(crate) removed: Vec<String>,
    /// What others use, and what the engine says about it.
    pub(crate) kept: Vec<(String, String)>,
}

/// Makes the sample's image from its server unless the engine has it already; gives whether it was made.
///
/// # Errors
/// When a program is missing or the engine refuses.
pub(crate) fn ensure_hello(hello: &Path, state: &StateDir) -> Result<bool> {
    let busybox = find_program("busybox").context("busybox is missing: run `cargo xtask setup`")?;
    let content = hello_tar(hello, &busybox)?;
    let digest = digest(&content);
    let label = docker(["image", "inspect", "--format", &format!("{{{{index .Config.Labels \"{CONTENT}\"}}}}"), HELLO]);
    if label.read().is_ok_and(|found| found == digest) {
        return Ok(false);
    }
    let file = state.run().join("hello.tar");
    File::create(&file)?.write_all(&content).with_context(|| format!("cannot write {}", file.display()))?;
    let imported = docker(["import"])
        .args(["--change", "ENTRYPOINT [\"/bin/hello\"]", "--change", "ENV PATH=/bin"])
        .args(["--change", &format!("LABEL {CONTENT}={digest}")])
        .arg(&file)
        .arg(HELLO)
        .run();
    std::fs::remove_file(&file)?;
    imported.map(|()| true)
}

/// Removes our images from an engine that is not ours, and those that newer ones of ours took the names from.
///
/// # Errors
/// When the engine does not say what it has, or refuses for another reason than that an image is in use.
pub(crate) fn remove() -> Result<Outcome> {
    let list = |filter: &str| docker(["image", "ls", "--no-trunc", "--format", FORMAT, "--filter", filter]).read();
    let mut listed = list(&format!("label={CONTENT}"))?;
    for image in OURS {
        listed += &format!("\n{}", list(&format!("reference={image}"))?);
    }
    let mut outcome = Outcome::default();
    for image in ours(&listed) {
        let answer = docker(["image", "rm", &image]).capture()?;
        match (answer.status.success(), answer.stderr.trim()) {
            (true, _) => outcome.removed.push(image),
            (false, told) if told.contains("conflict") => outcome.kept.push((image, told.to_owned())),
            (false, told) => bail!("cannot remove the image {image}: {told}"),
        }
    }
    Ok(outcome)
}

/// How the engine lists an image for [`ours`].
const FORMAT: &str = "{{.ID}} {{.Repository}}:{{.Tag}}";

/// Our names, and the ids of images of ours that have no name any more. A name that somebody else gave stays.
fn ours(listed: &str) -> BTreeSet<String> {
    let images = listed.lines().filter_map(|line| line.trim().split_once(' '));
    images
        .filter_map(|(id, name)| match name {
            "<none>:<none>" => Some(id.to_owned()),
            name => OURS.contains(&name).then(|| name.to_owned()),
        })
        .collect()
}

/// A root file system: the server, busybox and a link to it for each of its tools.
fn hello_tar(hello: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (dir, mode) in [("bin", 0o755), ("etc", 0o755), ("proc", 0o755), ("sys", 0o755), ("tmp", 0o1777)] {
        let mut header = header(EntryType::Directory, mode);
        tar.append_data(&mut header, dir, std::io::empty())?;
    }
    for (path, program) in [("bin/hello", hello), ("bin/busybox", busybox)] {
        let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        let mut header = header(EntryType::Regular, 0o755);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    for tool in tools(&Cmd::new(busybox).arg("--list").read()?) {
        tar.append_link(&mut header(EntryType::Symlink, 0o777), format!("bin/{tool}"), "busybox")?;
    }
    for (path, text) in [("etc/passwd", "root:x:0:0:root:/:/bin/sh\n"), ("etc/group", "root:x:0:\n")] {
        let mut header = header(EntryType::Regular, 0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes())?;
    }
    Ok(tar.into_inner()?)
}

/// The tools that busybox offers, without busybox itself.
fn tools(list: &str) -> impl Iterator<Item = &str> {
    list.lines().map(str::trim).filter(|tool| !tool.is_empty() && *tool != "busybox" && !tool.contains('/'))
}

/// The same content gives the same bytes: no times, no owners.
fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    header
}

fn digest(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_lost_their_names_are_ours_and_names_of_others_are_not() {
        let listed = "sha256:1 nodeplane/hello:1\nsha256:2 <none>:<none>\nsha256:1 mine/hello:3\n\n\
                      sha256:3 nodeplane/pause:1\nsha256:3 nodeplane/pause:1";
        assert_eq!(
            ours(listed).into_iter().collect::<Vec<_>>(),
            ["nodeplane/hello:1", "nodeplane/pause:1", "sha256:2"]
        );
        assert!(ours("").is_empty());
    }

    #[test]
    fn the_image_holds_the_server_and_the_tools() {
        let dir = tempfile::tempdir().unwrap();
        let (hello, busybox) = (dir.path().join("hello"), dir.path().join("busybox"));
        std::fs::write(&hello, "server").unwrap();
        std::fs::write(&busybox, "#!/bin/sh\nprintf 'busybox\\nsh\\nwget\\n'\n").unwrap();
        Cmd::new("chmod").arg("755").arg(&busybox).run().unwrap();

        let content = hello_tar(&hello, &busybox).unwrap();
        let mut archive = tar::Archive::new(content.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        for name in ["bin/hello", "bin/busybox", "bin/sh", "bin/wget", "etc/passwd"] {
            assert!(names.iter().any(|found| found == name), "{name} is missing in {names:?}");
        }
        assert_eq!(digest(&content), digest(&hello_tar(&hello, &busybox).unwrap()), "the same content, the same image");
    }
}
