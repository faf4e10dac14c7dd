//! Listens to the container engine, through its restarts.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::runtime::ContainerRuntime;

/// Between two tries to reach an engine that does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// What the engine is heard to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Something of this pod has moved.
    Moved(String),
    /// The engine answers: anything may have moved before, nothing is missed from now on.
    Listening,
}

/// Listens until nobody is interested.
pub(super) async fn listen(runtime: Arc<dyn ContainerRuntime>, notices: mpsc::UnboundedSender<Notice>) {
    let mut was_away = false;
    while !notices.is_closed() {
        match runtime.version().await {
            Ok(version) => {
                let mut events = runtime.events();
                if std::mem::take(&mut was_away) {
                    info!(engine = version.id, "the container engine is back");
                }
                if notices.send(Notice::Listening).is_err() {
                    return;
                }
                while let Some(uid) = events.next().await {
                    if notices.send(Notice::Moved(uid)).is_err() {
                        return;
                    }
                }
                warn!("the container engine has closed its events");
            }
            Err(error) if !was_away => warn!(%error, "the container engine is away"),
            Err(_) => {}
        }
        was_away = true;
        tokio::time::sleep(RETRY).await;
    }
}
