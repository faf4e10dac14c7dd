//! The image of sandboxes, made from the static program that this binary carries: no registry is
//! asked.

use std::io;

use bollard::{Docker, body_full, query_parameters::CreateImageOptionsBuilder};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tracing::info;

use super::failure;
use crate::pods::runtime::RuntimeError;

/// Reference of the image.
pub(super) const IMAGE: &str = "nodeplane/pause:1";
/// The program inside.
pub(super) const PROGRAM: &str = "/pause";

const BINARY: &[u8] = include_bytes!(env!("NODEPLANE_PAUSE_BINARY"));

/// Imports the image unless it is there.
pub(super) async fn ensure_image(docker: &Docker) -> Result<(), RuntimeError> {
    match docker.inspect_image(IMAGE).await.map_err(failure) {
        Ok(_) => return Ok(()),
        Err(RuntimeError::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let layer = layer().map_err(|error| RuntimeError::Refused(format!("packing the pause image: {error}")))?;
    let (repository, tag) = IMAGE.split_once(':').unwrap_or((IMAGE, "latest"));
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
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
