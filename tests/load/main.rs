//! `nodeplane-load`: how quick an API server is and how much memory it takes, seen by its clients.
//!
//! In: programs to start, or a kind of peer. Out: one run's figures by name, as JSON on the standard output; what it is
//! doing goes to the standard error. It starts the server itself, on loopback and with a directory of its own, and ends
//! it again. It drives it like client-go: TLS with a client certificate, HTTP/2, one connection per client. It knows
//! Kubernetes' API alone, so the same rows can be measured on any server of it. `cargo xtask bench api` runs it several
//! times and tells what the figures mean.

mod bed;
mod client;
mod curve;
mod fanout;
mod kubeconfig;
mod pod;
mod run;
mod tally;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

/// Figures by name, in the order in which they were measured.
type Figures = Map<String, Value>;

/// Measures one run of an API server.
#[derive(Debug, Parser)]
#[command(name = "nodeplane-load", version)]
struct Flags {
    /// Which server.
    #[arg(long, value_enum, default_value_t = Subject::Embedded)]
    subject: Subject,
    /// The server of this project.
    #[arg(long, value_name = "FILE", required_unless_present = "peer_dir")]
    server: Option<PathBuf>,
    /// Where `kube-apiserver` lies, and `kube-controller-manager` and `kube-scheduler` if they are to run, too.
    #[arg(long, value_name = "DIR", required_if_eq("subject", "peer"))]
    peer_dir: Option<PathBuf>,
    /// The etcd that `etcd` and `peer` need.
    #[arg(long, value_name = "FILE", default_value = "etcd")]
    etcd: PathBuf,
    /// How many pods the large lists have.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=100_000))]
    pods: u32,
    /// Measure how memory and costs grow from 1,000 to 100,000 pods instead, for at most so many seconds.
    #[arg(long, value_name = "SECONDS")]
    curve: Option<u64>,
}

/// Which server is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Ours, with the embedded store.
    Embedded,
    /// Ours, with etcd.
    Etcd,
    /// kube-apiserver with etcd.
    Peer,
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    let (bed, ready) = bed::Bed::start(&flags).await?;
    let outcome = match flags.curve {
        None => run::rows(&bed, flags.pods).await,
        Some(seconds) => curve::points(&bed, std::time::Duration::from_secs(seconds)).await,
    };
    let mut figures = outcome.map_err(|error| bed.explain(error))?;
    figures.insert("ready_ms".to_owned(), json!(tally::millis(ready)));
    bed.stop().await?;
    println!("{}", Value::Object(figures));
    Ok(())
}
