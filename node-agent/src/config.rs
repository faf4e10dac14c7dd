//! Everything that can be said to the agent, in one table.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};

use crate::{net::cidr::Cidr, node::dns_slice};

/// Makes this node match the cluster: pods run, packets flow, names resolve.
#[derive(Debug, Parser)]
#[command(name = "nodeplane-agent", version)]
pub struct Cli {
    /// What to do; without it, the agent runs.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// How.
    #[command(flatten)]
    pub flags: Flags,
}

/// What the program can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Run the agent (as without a verb).
    Run,
    /// Remove everything that an agent with the same flags has made on this machine.
    Cleanup,
    /// Print the live state of the running agent as JSON.
    Dump,
}

/// The same flags for every verb, or one would miss what another made.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// The node's name [default: the host's, in lower case].
    #[arg(long, global = true, value_name = "NAME")]
    pub node_name: Option<String>,
    /// The node's address [default: that of the default route, else 127.0.0.1].
    #[arg(long, global = true, value_name = "ADDR")]
    pub node_ip: Option<Ipv4Addr>,
    /// Credentials of the node; its certificate must be one for servers as well.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/nodeplane/agent.kubeconfig")]
    pub kubeconfig: PathBuf,
    /// Where the agent keeps files of pods and of its own.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/nodeplane/agent")]
    pub state_dir: PathBuf,
    /// The container engine.
    #[arg(long, global = true, value_name = "URL", default_value = "unix:///var/run/docker.sock")]
    pub docker_host: String,
    /// The cgroup2 folder whose processes use Services [default: the root of the hierarchy].
    #[arg(long, global = true, value_name = "DIR")]
    pub cgroup_root: Option<PathBuf>,
    /// The cgroup below which containers are put [default: the engine's choice].
    #[arg(long, global = true, value_name = "CGROUP")]
    pub container_cgroup_parent: Option<String>,
    /// Where BPF maps and links are pinned.
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys/fs/bpf/nodeplane")]
    pub bpffs: PathBuf,
    /// The address of the cluster's DNS, for pods.
    #[arg(long, global = true, value_name = "ADDR", default_value = "10.96.0.10")]
    pub cluster_dns: Ipv4Addr,
    /// The domain of the cluster's names.
    #[arg(long, global = true, value_name = "DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// The range of addresses of Services.
    #[arg(long, global = true, value_name = "RANGE", default_value = "10.96.0.0/16")]
    pub service_cidr: Cidr,
    /// The range of addresses of all pods of the cluster.
    #[arg(long, global = true, value_name = "RANGE", default_value = "10.244.0.0/16")]
    pub cluster_cidr: Cidr,
    /// A name server for names outside of the cluster; repeatable [default: those of /etc/resolv.conf].
    #[arg(long, global = true, value_name = "ADDR[:PORT]", value_parser = name_server)]
    pub dns_upstream: Vec<SocketAddr>,
    /// Where the API server finds the agent [default: the node's address, port 10250].
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// What is logged. The target `nodeplane::bpf` at debug is what the BPF programs decide.
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub log: String,
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    let address = |text: &str| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, dns_slice::PORT));
    text.parse().or_else(|_| address(text)).map_err(|_| format!("{text:?} is not ADDR or ADDR:PORT"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split_whitespace()).expect("it parses")
    }

    #[test]
    fn the_table_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_verb() {
        for line in ["agent --node-name n --bpffs /x cleanup", "agent cleanup --node-name n --bpffs /x"] {
            let cli = parse(line);
            assert_eq!((cli.verb, cli.flags.node_name.as_deref()), (Some(Verb::Cleanup), Some("n")), "{line}");
            assert_eq!(cli.flags.bpffs, PathBuf::from("/x"));
        }
        assert_eq!(parse("agent").verb, None);
    }

    #[test]
    fn name_servers_have_a_port_or_get_one() {
        let flags = parse("agent --dns-upstream 192.0.2.1 --dns-upstream 192.0.2.2:5353").flags;
        let expected: Vec<SocketAddr> = vec![([192, 0, 2, 1], 53).into(), ([192, 0, 2, 2], 5353).into()];
        assert_eq!(flags.dns_upstream, expected);
        assert!(Cli::try_parse_from(["agent", "--dns-upstream", "dns.example"]).is_err());
        assert!(Cli::try_parse_from(["agent", "--cluster-cidr", "10.244.0.0"]).is_err());
    }
}
