//! The rules of netfilter that pods need: their packets may pass, the node's DNS may be asked, and what goes to the
//! outside leaves with the node's address.
//!
//! By `iptables`, because Docker speaks it: where Docker runs, what is forwarded is dropped unless a rule in the same
//! chain lets it pass, and a table of our own could not undo that. Three chains are ours; one jump to each stands in
//! the chains of the system. Nothing of anybody else is changed, moved or removed.

use std::{ffi::OsStr, net::Ipv4Addr, process::Stdio};

use tokio::{io::AsyncWriteExt as _, process::Command};
use tracing::info;

use super::{Error, Result, cidr::Cidr, names};

const IPTABLES: &str = "iptables";
const RESTORE: &str = "iptables-restore";
const SAVE: &str = "iptables-save";

/// A chain of ours, and where packets come from.
struct Chain {
    table: &'static str,
    from: &'static str,
    name: &'static str,
    comment: &'static str,
}

const CHAINS: [Chain; 3] = [
    Chain { table: "filter", from: "FORWARD", name: "NODEPLANE-FORWARD", comment: "nodeplane: packets of pods" },
    Chain { table: "filter", from: "INPUT", name: "NODEPLANE-INPUT", comment: "nodeplane: names for pods" },
    Chain { table: "nat", from: "POSTROUTING", name: "NODEPLANE-POSTROUTING", comment: "nodeplane: pods to outside" },
];

/// Who is where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    /// Pods of this node.
    pub(super) node: Cidr,
    /// Pods of all nodes.
    pub(super) cluster: Cidr,
    /// Services.
    pub(super) services: Cidr,
    /// The node itself, to its pods.
    pub(super) gateway: Ipv4Addr,
}

/// Makes the rules, in the place of those of an earlier agent.
///
/// # Errors
/// iptables is missing, or refuses.
pub(super) async fn ensure(ranges: &Ranges) -> Result<()> {
    run(RESTORE, ["--noflush", "--wait"], Some(&rules(ranges))).await?;
    for chain in &CHAINS {
        if !has_jump(chain).await? {
            run(IPTABLES, chain.jump("--insert"), None).await?;
            info!(chain = chain.name, from = chain.from, "packets of pods are let through");
        }
    }
    Ok(())
}

/// Whether all jumps and all rules behind them still stand: whoever removes rules of others removes these.
///
/// # Errors
/// iptables is missing.
pub(super) async fn is_whole(ranges: &Ranges) -> Result<bool> {
    let wanted = rules(ranges);
    for chain in &CHAINS {
        let table = run(SAVE, ["-t", chain.table], None).await?;
        // Their words are iptables' own when they are told; nobody but us changes one of them.
        if chain.length_in(&table) != chain.length_in(&wanted) || !has_jump(chain).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the jumps and the chains.
///
/// # Errors
/// iptables refuses, for one chain at least; the others are gone. That it is missing is no error: then there are no
/// rules.
pub(super) async fn remove() -> Result<()> {
    let mut outcome = Ok(());
    for chain in &CHAINS {
        match remove_chain(chain).await {
            Err(Error::Missing { .. }) | Ok(()) => {}
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

async fn remove_chain(chain: &Chain) -> Result<()> {
    let table = run(SAVE, ["-t", chain.table], None).await?;
    match removal(chain, &table) {
        Some(commands) => run(RESTORE, ["--noflush", "--wait"], Some(&commands)).await.map(drop),
        None => Ok(()),
    }
}

/// What removes a chain and every jump to it, in the language of `iptables-restore`; nothing if there is none.
///
/// Whoever jumps to it, and with whatever conditions: somebody may have loaded rules that were saved, or written one.
fn removal(chain: &Chain, table: &str) -> Option<String> {
    let name = chain.name;
    table.contains(&format!("\n:{name} ")).then_some(())?;
    let jumps = table.lines().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| {
        let mut words = rule.split(' ');
        words.next() != Some(name) && words.zip(rule.split(' ').skip(2)).any(|(way, to)| to == name && is_jump(way))
    });
    let deletions: String = jumps.map(|rule| format!("-D {rule}\n")).collect();
    Some(format!("*{}\n{deletions}-F {name}\n-X {name}\nCOMMIT\n", chain.table))
}

fn is_jump(word: &str) -> bool {
    matches!(word, "-j" | "-g")
}

/// Whether there are rules of others for packets that are forwarded. Asked when ours are gone.
pub(super) async fn others_forward() -> bool {
    let filter = run(SAVE, ["-t", "filter"], None).await.unwrap_or_default();
    filter.lines().any(|line| line.starts_with("-A FORWARD ") || line.starts_with(":FORWARD DROP "))
}

async fn has_jump(chain: &Chain) -> Result<bool> {
    match run(IPTABLES, chain.jump("--check"), None).await {
        Ok(_) => Ok(true),
        Err(Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Chain {
    /// How many rules it has.
    fn length_in(&self, rules: &str) -> usize {
        let begin = format!("-A {} ", self.name);
        rules.lines().filter(|line| line.starts_with(&begin)).count()
    }

    /// The arguments that insert (at the top) or check the jump to it.
    fn jump(&self, act: &'static str) -> [&'static str; 11] {
        let Self { table, from, name, comment } = *self;
        ["--wait", "--table", table, act, from, "--match", "comment", "--comment", comment, "--jump", name]
    }
}

/// All chains in the language of `iptables-restore`, which empties them first and changes a table in one step.
fn rules(ranges: &Ranges) -> String {
    let Ranges { node, cluster, services, gateway } = ranges;
    let pods = format!("{}+", names::PREFIX);
    let [forward, input, postrouting] = CHAINS.each_ref().map(|chain| chain.name);
    format!(
        "*filter
:{forward} - [0:0]
:{input} - [0:0]
-A {forward} -i {pods} -j ACCEPT
-A {forward} -o {pods} -j ACCEPT
-A {input} -i {pods} -d {gateway} -p udp --dport 53 -j ACCEPT
-A {input} -i {pods} -d {gateway} -p tcp --dport 53 -j ACCEPT
COMMIT
*nat
:{postrouting} - [0:0]
-A {postrouting} ! -s {node} -j RETURN
-A {postrouting} -d {cluster} -j RETURN
-A {postrouting} -d {services} -j RETURN
-A {postrouting} -o {pods} -j RETURN
-A {postrouting} -j MASQUERADE --random-fully
COMMIT
"
    )
}

/// Runs a program to its end, and returns what it wrote.
async fn run<S: AsRef<OsStr>>(
    program: &'static str,
    arguments: impl IntoIterator<Item = S>,
    input: Option<&str>,
) -> Result<String> {
    let missing = |source| Error::Missing { program, source };
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut command = Command::new(program);
    command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(missing)?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(input.as_bytes()).await.map_err(missing)?;
    }
    let output = child.wait_with_output().await.map_err(missing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Refused { program, reason: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_these() {
        let cidr = |text: &str| text.parse().expect("a range");
        let ranges = Ranges {
            node: cidr("10.244.3.0/24"),
            cluster: cidr("10.244.0.0/16"),
            services: cidr("10.96.0.0/16"),
            gateway: Ipv4Addr::new(10, 244, 3, 1),
        };
        let expected = "*filter
:NODEPLANE-FORWARD - [0:0]
:NODEPLANE-INPUT - [0:0]
-A NODEPLANE-FORWARD -i np-+ -j ACCEPT
-A NODEPLANE-FORWARD -o np-+ -j ACCEPT
-A NODEPLANE-INPUT -i np-+ -d 10.244.3.1 -p udp --dport 53 -j ACCEPT
-A NODEPLANE-INPUT -i np-+ -d 10.244.3.1 -p tcp --dport 53 -j ACCEPT
COMMIT
*nat
:NODEPLANE-POSTROUTING - [0:0]
-A NODEPLANE-POSTROUTING ! -s 10.244.3.0/24 -j RETURN
-A NODEPLANE-POSTROUTING -d 10.244.0.0/16 -j RETURN
-A NODEPLANE-POSTROUTING -d 10.96.0.0/16 -j RETURN
-A NODEPLANE-POSTROUTING -o np-+ -j RETURN
-A NODEPLANE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
";
        assert_eq!(rules(&ranges), expected);
    }

    #[test]
    fn every_jump_goes_whoever_wrote_it() {
        let table = "# Generated\n*filter\n:INPUT ACCEPT [0:0]\n:NODEPLANE-FORWARD - [0:0]\n\
            -A FORWARD -m comment --comment \"nodeplane: packets of pods\" -j NODEPLANE-FORWARD\n\
            -A FORWARD -i lo -g NODEPLANE-FORWARD\n-A FORWARD -j OTHER\n\
            -A FORWARD -m comment --comment NODEPLANE-FORWARD -j ACCEPT\n\
            -A NODEPLANE-FORWARD -i np-+ -j ACCEPT\nCOMMIT\n";
        let expected = "*filter\n\
            -D FORWARD -m comment --comment \"nodeplane: packets of pods\" -j NODEPLANE-FORWARD\n\
            -D FORWARD -i lo -g NODEPLANE-FORWARD\n-F NODEPLANE-FORWARD\n-X NODEPLANE-FORWARD\nCOMMIT\n";
        assert_eq!(removal(&CHAINS[0], table).as_deref(), Some(expected));
        assert_eq!(removal(&CHAINS[1], table), None);
    }
}
