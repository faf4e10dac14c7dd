//! How memory and costs grow with the number of pods.
//!
//! In: an empty server and some time. Out: a point for each number of pods that was reached in time: memory per pod, and
//! what one operation takes. Costs that are flat stay the same from point to point.

use std::{
    slice,
    time::{Duration, Instant},
};

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use crate::{
    Figures,
    bed::Bed,
    client::{Ask, Client, STRATEGIC},
    pod,
    run::{drive, open_namespace, say},
};

/// The numbers of pods that are looked at.
const POINTS: [u32; 5] = [1_000, 3_000, 10_000, 30_000, 100_000];
/// Clients that make them.
const CLIENTS: usize = 64;
/// Operations per cost.
const OPERATIONS: u32 = 300;
/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(8);

/// Measures points until they are done or the time is.
pub(crate) async fn points(bed: &Bed, within: Duration) -> Result<Figures> {
    let since = Instant::now();
    let mut one = bed.dialer.dial().await?;
    open_namespace(&mut one).await?;
    tokio::time::sleep(REST).await;
    let empty = bed.memory()?.pss;
    let mut many = bed.dialer.dial_many(CLIENTS).await?;
    let (mut there, mut points) = (0, Vec::new());
    for pods in POINTS {
        if since.elapsed() > within {
            say(&format!("no time is left for {pods} pods"));
            break;
        }
        let create = |index| Ask::send(Method::POST, pod::collection(), pod::body(index));
        // The last ones are made by one client, for their cost.
        let made = drive(&mut many, there..pods - OPERATIONS, create).await?;
        let create = drive(slice::from_mut(&mut one), pods - OPERATIONS..pods, create).await?;
        there = pods;
        tokio::time::sleep(REST).await;
        let memory = bed.memory()?.pss;
        let point = json!({
            "pods": pods,
            "memory_mib": memory,
            "memory_per_pod_kib": (memory - empty) * 1024.0 / f64::from(pods),
            "create_64_rate": made.rate,
            "create_p50_ms": create.times.percentile(50),
            "get_p50_ms": cost(&mut one, pods, get).await?,
            "patch_p50_ms": cost(&mut one, pods, patch).await?,
            "page_of_500_p50_ms": cost(&mut one, 20, |_| Ask::get(format!("{}?limit=500", pod::collection()))).await?,
        });
        say(&point.to_string());
        points.push(point);
    }
    Ok(Figures::from_iter([("memory_empty_mib".to_owned(), json!(empty)), ("curve".to_owned(), Value::from(points))]))
}

async fn cost(client: &mut Client, pods: u32, ask: impl Fn(u32) -> Ask) -> Result<f64> {
    let spread = |count: u32| ask(count * 7919 % pods);
    Ok(drive(slice::from_mut(client), 0..OPERATIONS.min(pods), spread).await?.times.percentile(50))
}

fn get(pod: u32) -> Ask {
    Ask::get(pod::path(pod))
}

fn patch(pod: u32) -> Ask {
    Ask::send(Method::PATCH, pod::path(pod), pod::patch(pod)).of_type(STRATEGIC)
}
