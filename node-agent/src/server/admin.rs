//! The live state, for whoever is root on this machine: a Unix socket that says it to everybody who connects.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::View;

/// How long a reader may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the socket is, in the agent's folder for state.
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join("agent.sock")
}

/// Serves until `stop`.
///
/// # Errors
/// The socket cannot be made.
pub async fn serve(view: Arc<dyn View>, path: &Path, stop: &CancellationToken) -> io::Result<()> {
    // Of an agent that has ended: there is one agent for a folder.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(tell(view.clone(), stream));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    fs::remove_file(path)
}

async fn tell(view: Arc<dyn View>, mut stream: UnixStream) {
    let text = format!("{:#}\n", view.dump().await);
    let told = timeout(PATIENCE, async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    });
    match told.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a reader of the state went away"),
        Err(_) => debug!("a reader of the state did not read"),
    }
}

/// Reads what a running agent says.
///
/// # Errors
/// None is running.
pub async fn dump(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = timeout(PATIENCE, async { UnixStream::connect(path).await?.read_to_string(&mut text).await });
    read.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    Ok(text)
}
