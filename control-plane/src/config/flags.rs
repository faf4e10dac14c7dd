//! The command line: what a person may say, with a sentence about each thing.

use std::net::{Ipv4Addr, SocketAddr};
use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::Range;
use crate::go_duration;

/// Kubernetes API server, controllers and scheduler in one process.
#[derive(Debug, Parser)]
#[command(name = "nodeplane-server", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Flags {
    /// What to do; without it, the server runs.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// How the server runs.
    #[command(flatten)]
    pub run: RunFlags,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a kubeconfig with a new or the present certificate, mode 0600.
    Kubeconfig {
        /// For whom.
        #[command(subcommand)]
        who: Who,
    },
    /// Care for stores while no server runs.
    Store {
        /// What to do.
        #[command(subcommand)]
        what: StoreVerb,
    },
}

/// What is done to stores.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Copy a cluster from one store into the other while no server runs: objects, claims on
    /// addresses and ports, and how long events have to live.
    ///
    /// Everything is read as of one revision, and compared afterwards. Clients keep their
    /// resourceVersions over the move, so these never go back. The embedded store takes over the
    /// revisions as they are. etcd counts its own: it is written to until it has counted up to the
    /// last revision of the source (about a minute per million), and then forgets everything before
    /// the copy; clients that ask for an older revision are told that it is gone and list again. The
    /// certificate authority is no part of it: it stays in the --state-dir.
    ///
    /// A copy into the embedded store that is interrupted leaves that store as it was. One into
    /// etcd leaves a mark, servers refuse to start on it, and the copy is to be made again with
    /// --overwrite.
    Copy(CopyFlags),
}

/// From where to where.
#[derive(Args, Debug)]
pub struct CopyFlags {
    /// Where the cluster is now.
    #[arg(long, value_enum)]
    pub from: StoreKind,
    /// Where it is to be.
    #[arg(long, value_enum)]
    pub to: StoreKind,
    /// Replace what is in the target.
    #[arg(long)]
    pub overwrite: bool,
    /// The server's state directory, with the embedded store. Made (mode 0700) when the copy goes
    /// there.
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// How etcd is reached.
    #[command(flatten)]
    pub etcd: EtcdFlags,
}

/// Whom a kubeconfig is for.
#[derive(Debug, Subcommand)]
pub enum Who {
    /// For an administrator, who may do everything.
    Admin(KubeconfigFlags),
    /// For the agent of a node.
    Node {
        /// The name of the node, as its agent is told.
        name: String,
        /// Where from and where to.
        #[command(flatten)]
        flags: KubeconfigFlags,
    },
}

/// Where a kubeconfig comes from and where it goes.
#[derive(Args, Debug)]
pub struct KubeconfigFlags {
    /// The server's state directory, with the certificate authority.
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// Where the holder reaches the server.
    #[arg(long, value_name = "https://HOST:PORT", default_value = "https://127.0.0.1:6443", value_parser = server_url)]
    pub server: String,
    /// The file to write; its directory must exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// How the server runs.
#[derive(Args, Debug)]
pub struct RunFlags {
    /// Where the server keeps its keys, the administrator's kubeconfig and the embedded store.
    /// Made (mode 0700) when it is missing. Servers that share an etcd are one cluster and need
    /// one certificate authority and one key for tokens: copy pki/ca.crt, pki/ca.key and pki/sa.key of
    /// the first server into the directory of every other one before that one starts.
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// The address and port to serve HTTPS at; port 0 takes a free one. Servers that share an
    /// etcd listen at the same port.
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:6443")]
    pub listen: SocketAddr,
    /// The address at which nodes and pods reach the server. Without it: the listen address, or
    /// the address of the default route when the server listens at all addresses.
    #[arg(long, value_name = "ADDR")]
    pub advertise_address: Option<Ipv4Addr>,
    /// Where objects are kept: in a file of the state directory, or in etcd. Several servers can
    /// share an etcd: all serve the API, and one of them at a time runs controllers and scheduler.
    #[arg(long, value_enum, default_value_t = StoreKind::Embedded)]
    pub store: StoreKind,
    /// How etcd is reached.
    #[command(flatten)]
    pub etcd: EtcdFlags,
    /// How often what happened one such time ago is forgotten in etcd; 0 leaves that to others.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub etcd_compaction_interval: Duration,
    /// How long events are kept after their last change.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = life)]
    pub event_ttl: Duration,
    /// The range of the virtual addresses of Services.
    #[arg(long, value_name = "RANGE", default_value = "10.96.0.0/16")]
    pub service_cidr: Range,
    /// The range of the addresses of pods; every node gets a /24 of it.
    #[arg(long, value_name = "RANGE", default_value = "10.244.0.0/16")]
    pub cluster_cidr: Range,
    /// The virtual address of the cluster's DNS. Without it: the 10th of the service range.
    #[arg(long, value_name = "ADDR")]
    pub cluster_dns: Option<Ipv4Addr>,
    /// A further name or address under which clients reach the server. Repeatable.
    #[arg(long, value_name = "NAME|ADDR", value_parser = san)]
    pub tls_san: Vec<String>,
    /// Who issues the tokens of service accounts, as they say themselves: a URL, at which clients
    /// outside find the keys to check them when it leads to this server. Repeatable: the first one
    /// issues, and tokens of all are accepted.
    #[arg(long, value_name = "URL", default_value = ISSUER, value_parser = issuer)]
    pub service_account_issuer: Vec<String>,
    /// The names of this API, of which a token must be for one; separated by commas. Without it:
    /// the issuers.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub api_audiences: Vec<String>,
    /// Calls that only read which the server answers at the same time; what comes then is told to come
    /// again (429). Watches, logs and administrators do not count. 0: any number.
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    pub max_requests_inflight: usize,
    /// The same for calls that change something.
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub max_mutating_requests_inflight: usize,
    /// How long a call may take, other than a watch or a log; a client may ask for less. Also how long
    /// open calls may take to end when the server stops.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = positive)]
    pub request_timeout: Duration,
    /// Seconds that a watch goes on for at least, when the client does not say; at most it is twice
    /// as many.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_request_timeout: u32,
    /// How long the server goes on to serve after it was told to stop, while /readyz says that it is
    /// not ready: time for a load balancer to notice.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub shutdown_delay_duration: Duration,
    /// What is logged, in the form of `RUST_LOG`. `debug` has a line for every call.
    #[arg(long, value_name = "FILTER", env = "NODEPLANE_LOG", default_value = "info")]
    pub log: String,
    /// The form of the log: lines for people, or one JSON object a line.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How etcd is reached.
#[derive(Args, Clone, Debug)]
pub struct EtcdFlags {
    /// The members of the etcd cluster, separated by commas. One of them is in use; the others are
    /// asked when it does not answer.
    #[arg(long, value_name = "URL,...", value_delimiter = ',', value_parser = etcd_url)]
    pub etcd_endpoints: Vec<String>,
    /// What the keys of this cluster begin with, in either store.
    #[arg(long, value_name = "PATH", default_value = "/registry", value_parser = prefix)]
    pub etcd_prefix: String,
    /// Who has signed the certificates of etcd (PEM), for https endpoints.
    #[arg(long, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,
    /// The certificate to show to etcd (PEM).
    #[arg(long, value_name = "FILE", requires = "etcd_keyfile", requires = "etcd_cafile")]
    pub etcd_certfile: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "etcd_certfile")]
    pub etcd_keyfile: Option<PathBuf>,
    /// The user to be known as, where etcd has access control (etcdctl auth enable). It needs to
    /// read and write the keys below --etcd-prefix.
    #[arg(long, value_name = "NAME", requires = "etcd_password_file")]
    pub etcd_user: Option<String>,
    /// The file whose first line is the password of that user.
    #[arg(long, value_name = "FILE", requires = "etcd_user")]
    pub etcd_password_file: Option<PathBuf>,
}

/// Where objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// In one file; for one server.
    Embedded,
    /// In etcd.
    Etcd,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// As distributions have it.
const STATE_DIR: &str = "/var/lib/nodeplane/server";

/// What upstream's tools tell the server.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// As upstream: with a colon it is a URL, without one any name.
fn issuer(text: &str) -> Result<String, String> {
    let is_usable = match text.contains(':') {
        true => text.parse::<http::Uri>().is_ok_and(|url| url.host().is_some_and(|host| !host.is_empty())),
        false => !text.is_empty(),
    };
    if is_usable { Ok(text.to_owned()) } else { Err("write a URL such as https://HOST, or a name".to_owned()) }
}

fn server_url(text: &str) -> Result<String, String> {
    let is_usable = text
        .parse::<http::Uri>()
        .is_ok_and(|url| url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty()));
    if is_usable { Ok(text.trim_end_matches('/').to_owned()) } else { Err("write https://HOST:PORT".to_owned()) }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let is_plain = !text.starts_with(['+', '-']);
    let read = go_duration::parse(text).ok().filter(|_| is_plain);
    read.ok_or_else(|| "write a duration such as 5m, 1h30m or 30s".to_owned())
}

fn positive(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("write a duration above zero, such as 1m30s".to_owned()) } else { Ok(duration) }
}

fn etcd_url(text: &str) -> Result<String, String> {
    let is_usable = text.parse::<http::Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    if is_usable { Ok(text.to_owned()) } else { Err("write http://HOST:PORT or https://HOST:PORT".to_owned()) }
}

fn prefix(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_path = path.starts_with('/') && !path.contains("//");
    if is_path { Ok(path.to_owned()) } else { Err("write a path such as /registry".to_owned()) }
}

/// A life that is one: etcd knows none below a second.
fn life(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|life| if life.as_secs() > 0 { Ok(life) } else { Err("write at least 1s".to_owned()) })
}

fn san(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() || nodeplane_api::names::subdomain(name).is_empty() {
        return Ok(text.to_owned());
    }
    Err("write a host name in lower case, such as api.example.com, or an address".to_owned())
}
