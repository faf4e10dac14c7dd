//! One run: every row once, in an order in which none disturbs the next.
//!
//! In: an empty server. Out: its figures. The names are what `cargo xtask bench api` knows them by.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value, json};

use crate::{
    Figures,
    bed::Bed,
    client::{Ask, Client, JSON, PROTOBUF, STRATEGIC, TABLE},
    fanout, pod,
    tally::{Tally, millis, rate},
};

/// Clients of the rows that have many.
const CLIENTS: usize = 64;
/// Requests of a row with one client that writes, and that reads.
const FEW: u32 = 400;
/// Requests of a row with many clients.
const MANY: u32 = 4000;
/// Lists of everything, and of some.
const LISTS: u32 = 5;
const SELECTED_LISTS: u32 = 20;
/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(8);
/// How long a namespace may take to be usable, and a deletion to be complete.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures all rows.
pub(crate) async fn rows(bed: &Bed, pods: u32) -> Result<Figures> {
    let mut figures = Figures::new();
    let mut one = bed.dialer.dial().await?;
    open_namespace(&mut one).await?;
    tokio::time::sleep(REST).await;
    note_memory(bed, &mut figures, "empty")?;

    let mut many = bed.dialer.dial_many(CLIENTS).await?;
    let (own, others) = (FEW.min(pods / 4), MANY.min(pods / 2));
    let create = |index| Ask::send(Method::POST, pod::collection(), pod::body(index));
    note(&mut figures, "create_1", &drive(std::slice::from_mut(&mut one), 0..own, create).await?);
    note(&mut figures, "create_64", &drive(&mut many, own..own + others, create).await?);
    drive(&mut many, own + others..pods, create).await?;
    tokio::time::sleep(REST).await;
    note_memory(bed, &mut figures, "full")?;

    let get = |count: u32| Ask::get(pod::path(count * 7919 % pods));
    note(&mut figures, "get_1", &drive(std::slice::from_mut(&mut one), 0..FEW * 4, get).await?);
    note(&mut figures, "get_64", &drive(&mut many, 0..MANY * 4, get).await?);
    let patch =
        |count: u32| Ask::send(Method::PATCH, pod::path(count * 7919 % pods), pod::patch(count)).of_type(STRATEGIC);
    note(&mut figures, "patch_1", &drive(std::slice::from_mut(&mut one), 0..FEW, patch).await?);
    note(&mut figures, "patch_64", &drive(&mut many, 0..MANY, patch).await?);
    drop(many);

    for (name, accept) in [("list_json_ms", JSON), ("list_protobuf_ms", PROTOBUF), ("list_table_ms", TABLE)] {
        let list = |_| Ask::get(pod::collection()).accepting(accept);
        let driven = drive(std::slice::from_mut(&mut one), 0..LISTS, list).await?;
        figures.insert(name.to_owned(), json!(driven.times.percentile(50)));
    }
    let selected =
        format!("{}?labelSelector={}", pod::collection(), pod::SELECTED.replace('/', "%2F").replace('=', "%3D"));
    let driven = drive(std::slice::from_mut(&mut one), 0..SELECTED_LISTS, |_| Ask::get(selected.clone())).await?;
    figures.insert("list_selected_ms".to_owned(), json!(driven.times.percentile(50)));

    for watchers in [200, 1000] {
        say(&format!("{watchers} watchers"));
        let times = fanout::measure(bed, watchers, 0).await?;
        figures.insert(format!("event_{watchers}_p50_ms"), json!(times.percentile(50)));
        figures.insert(format!("event_{watchers}_p99_ms"), json!(times.percentile(99)));
    }
    figures.insert("deletecollection_s".to_owned(), json!(delete_all(&mut one).await?.as_secs_f64()));
    Ok(figures)
}

/// What some clients did.
pub(crate) struct Driven {
    pub(crate) times: Tally,
    pub(crate) rate: f64,
}

/// Shares requests out among clients, each of which sends its next one when it has the answer to the one before.
pub(crate) async fn drive(
    clients: &mut [Client],
    counts: std::ops::Range<u32>,
    ask: impl Fn(u32) -> Ask,
) -> Result<Driven> {
    let left = std::sync::Mutex::new(counts);
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let since = Instant::now();
    let each = clients.iter_mut().map(|client| {
        let (next, ask) = (&next, &ask);
        async move {
            let mut times = Vec::new();
            while let Some(count) = next() {
                let ask = ask(count);
                let sent = Instant::now();
                client.call(ask).await?;
                times.push(sent.elapsed());
            }
            anyhow::Ok(times)
        }
    });
    let times: Vec<Vec<Duration>> = stream::iter(each).buffer_unordered(CLIENTS).try_collect().await?;
    let took = since.elapsed();
    let times = times.concat();
    Ok(Driven { rate: rate(times.len(), took), times: Tally::of(times) })
}

fn note(figures: &mut Figures, name: &str, driven: &Driven) {
    say(&format!("{name}: {}/s, p50 {} ms", driven.rate, driven.times.percentile(50)));
    figures.insert(format!("{name}_rate"), json!(driven.rate));
    figures.insert(format!("{name}_p50_ms"), json!(driven.times.percentile(50)));
}

fn note_memory(bed: &Bed, figures: &mut Figures, when: &str) -> Result<()> {
    let memory = bed.memory()?;
    say(&format!("{when}: {:.1} MiB (PSS), {:.1} MiB (RSS)", memory.pss, memory.rss));
    figures.insert(format!("memory_{when}_mib"), json!(memory.pss));
    figures.insert(format!("memory_{when}_rss_mib"), json!(memory.rss));
    Ok(())
}

/// What is being done, for whoever waits.
pub(crate) fn say(what: &str) {
    eprintln!("  {what}");
}

/// Makes the namespace of the pods, and waits until it takes some.
pub(crate) async fn open_namespace(client: &mut Client) -> Result<()> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": pod::NAMESPACE } });
    client.call(Ask::send(Method::POST, "/api/v1/namespaces", namespace.to_string())).await?;
    let dry = format!("{}?dryRun=All", pod::collection());
    let since = Instant::now();
    // Controllers give it the account that pods have.
    while let Err(error) = client.call(Ask::send(Method::POST, dry.clone(), pod::body(0))).await {
        if since.elapsed() > PATIENCE {
            return Err(error.context("the namespace takes no pods"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Deletes all pods, and waits until none is left.
async fn delete_all(client: &mut Client) -> Result<Duration> {
    say("deletecollection");
    let since = Instant::now();
    client.call(Ask::send(Method::DELETE, pod::collection(), "{}")).await?;
    loop {
        let list = client.call(Ask::get(format!("{}?limit=1", pod::collection()))).await?;
        let list: Value = serde_json::from_slice(&list)?;
        if list["items"].as_array().is_some_and(Vec::is_empty) {
            say(&format!("deletecollection: {} ms", millis(since.elapsed())));
            return Ok(since.elapsed());
        }
        if since.elapsed() > PATIENCE {
            bail!("pods are left after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
