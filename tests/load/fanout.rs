//! How long it takes until everybody who watches has heard of a change.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    bed::Bed,
    client::{Ask, Client, STRATEGIC},
    pod,
    tally::Tally,
};

/// Changes that are made, one after the other.
const EVENTS: u32 = 20;

/// Numbers of patches that nobody else sends: one that changes nothing is no event.
const FIRST: u32 = 1 << 30;

/// How long all watchers may take to hear of one.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// Times from the moment a patch is sent until each of so many watchers, each with a connection of its own, has read
/// the whole event. The pod exists.
pub(crate) async fn measure(bed: &Bed, watchers: usize, pod: u32) -> Result<Tally> {
    let mut writer = bed.dialer.dial().await?;
    let mut watching = JoinSet::new();
    let (heard, mut news) = mpsc::unbounded_channel();
    let since = revision(&mut writer, pod).await?;
    let path = format!(
        "{}?watch=1&resourceVersion={since}&fieldSelector=metadata.name%3D{}&timeoutSeconds=600",
        pod::collection(),
        pod::name(pod)
    );
    for mut client in bed.dialer.dial_many(watchers).await? {
        let answer = client.open(Ask::get(path.clone())).await?;
        if !answer.status().is_success() {
            bail!("a watch was refused: {}", answer.status());
        }
        let heard = heard.clone();
        // The client lives as long as its stream.
        watching.spawn(async move { (lines(answer.into_body(), &heard).await, client) });
    }
    let mut times = Vec::new();
    for count in 0..EVENTS {
        let number = FIRST + u32::try_from(watchers)? * EVENTS + count;
        let ask = Ask::send(http::Method::PATCH, pod::path(pod), pod::patch(number)).of_type(STRATEGIC);
        let sent = Instant::now();
        writer.call(ask).await?;
        for _ in 0..watchers {
            let at: Instant =
                timeout(HEARD_WITHIN, news.recv()).await.context("not all heard")?.context("no watcher")?;
            times.push(at.duration_since(sent));
        }
    }
    watching.shutdown().await;
    Ok(Tally::of(times))
}

/// The revision at which a pod is as it is.
async fn revision(client: &mut Client, pod: u32) -> Result<String> {
    let found: serde_json::Value = serde_json::from_slice(&client.call(Ask::get(pod::path(pod))).await?)?;
    let revision = found["metadata"]["resourceVersion"].as_str();
    Ok(revision.context("a pod without a revision")?.to_owned())
}

/// Tells when each line of a watch was there.
async fn lines(mut body: Incoming, heard: &mpsc::UnboundedSender<Instant>) -> Result<()> {
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let ends = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
        for _ in 0..ends {
            heard.send(Instant::now())?;
        }
    }
    Ok(())
}
