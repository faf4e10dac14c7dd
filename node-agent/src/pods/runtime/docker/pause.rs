//! The image of sandboxes, made from the static program that this binary carries: no registry is
//! asked.
//!
//! In: an engine that may have the image. Out: one that has it, once; or one that holds nothing of it any more.

use std::{
    collections::{BTreeSet, HashMap},
    io,
};

use bollard::{
    Docker, body_full,
    errors::Error,
    models::ImageSummary,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Mutex;
use tracing::info;

use super::{DockerRuntime, absent_is_fine, failure};
use crate::pods::runtime::RuntimeError;

/// Reference of the image.
pub(super) const IMAGE: &str = "nodeplane/pause:1";
/// The program inside.
pub(super) const PROGRAM: &str = "/pause";

/// The label of the image, by which it is known when another one has its name.
const LABEL: &str = "nodeplane.content=pause";

const BINARY: &[u8] = include_bytes!(env!("NODEPLANE_PAUSE_BINARY"));

/// Held while the image is made: of two imports at the same time the earlier one loses its name and stays.
static IMPORT: Mutex<()> = Mutex::const_new(());

/// Imports the image unless it is there.
pub(super) async fn ensure_image(docker: &Docker) -> Result<(), RuntimeError> {
    if is_present(docker).await? {
        return Ok(());
    }
    let _alone = IMPORT.lock().await;
    if is_present(docker).await? { Ok(()) } else { import(docker).await }
}

async fn is_present(docker: &Docker) -> Result<bool, RuntimeError> {
    match docker.inspect_image(IMAGE).await.map_err(failure) {
        Ok(_) => Ok(true),
        Err(RuntimeError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn import(docker: &Docker) -> Result<(), RuntimeError> {
    let layer = layer().map_err(|error| RuntimeError::Refused(format!("packing the pause image: {error}")))?;
    let (repository, tag) = IMAGE.split_once(':').unwrap_or((IMAGE, "latest"));
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .changes(vec![format!("LABEL {LABEL}")])
        .build();
    let mut progress = docker.create_image(Some(options), Some(body_full(Bytes::from(layer))), None).boxed();
    while progress.try_next().await.map_err(failure)?.is_some() {}
    info!(image = IMAGE, "imported the sandbox image");
    Ok(())
}

fn layer() -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(BINARY.len() as u64);
    header.set_cksum();
    tar.append_data(&mut header, PROGRAM.trim_start_matches('/'), BINARY)?;
    tar.into_inner()
}

impl DockerRuntime {
    /// Removes the sandboxes' image, which no pod of this node uses any more. One that another agent's pods use stays,
    /// and so does a name that somebody else gave it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove_sandbox_image(&self) -> Result<(), RuntimeError> {
        let mut found = Vec::new();
        for (filter, value) in [("label", LABEL), ("reference", IMAGE)] {
            let filters = HashMap::from([(filter, vec![value])]);
            let options = ListImagesOptionsBuilder::new().filters(&filters).build();
            found.extend(self.docker.list_images(Some(options)).await.map_err(failure)?);
        }
        for image in removable(&found) {
            match self.docker.remove_image(&image, None::<RemoveImageOptions>, None).await {
                Err(Error::DockerResponseServerError { status_code: 409, message }) => {
                    info!(image, %message, "the sandbox image stays: somebody uses it");
                }
                other => absent_is_fine(other.map(drop))?,
            }
        }
        Ok(())
    }
}

/// Our name, and the ids of those without a name.
fn removable(found: &[ImageSummary]) -> BTreeSet<String> {
    let is_name = |tag: &&String| tag.as_str() != "<none>:<none>";
    let of = |image: &ImageSummary| {
        let mut names = image.repo_tags.iter().filter(is_name).peekable();
        match names.peek() {
            None => Some(image.id.clone()),
            Some(_) => names.find(|name| *name == IMAGE).cloned(),
        }
    };
    found.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests;
