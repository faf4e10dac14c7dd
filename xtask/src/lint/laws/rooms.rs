//! What a room never names: the laws that keep rooms pure and doors few.
//!
//! In: where a source lies and the paths that it names. Out: one sentence per name that its room forbids.

use std::path::Path;

use super::paths::{is_in, paths};

/// A part of the house and what it never names.
struct Room {
    /// Below the checkout.
    at: &'static str,
    /// A part of it that the law does not reach.
    except: Option<&'static str>,
    never: &'static [&'static str],
    law: &'static str,
}

/// Time, chance, the outside and other worlds; addresses are plain values.
const IMPURE: &[&str] = &[
    "aya",
    "bollard",
    "futures",
    "hyper",
    "libc",
    "nix",
    "rand",
    "rtnetlink",
    "socket2",
    "std::env",
    "std::fs",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "tokio",
    "uuid",
];

/// The store, what guards it, and the programs that it is made of.
const PRIVATE_DOORS: &[&str] = &["crate::store", "crate::registry", "etcd_client", "redb"];

const ROOMS: &[Room] = &[
    Room { at: "node-agent/src/plan", except: None, never: IMPURE, law: "`plan` is pure" },
    Room {
        at: "control-plane/src/controllers",
        except: None,
        never: PRIVATE_DOORS,
        law: "controllers have no private door to the store",
    },
    Room {
        at: "control-plane/src/scheduler",
        except: None,
        never: PRIVATE_DOORS,
        law: "the scheduler has no private door to the store",
    },
    Room {
        at: "control-plane/src/bootstrap",
        except: None,
        never: PRIVATE_DOORS,
        law: "bootstrap has no private door to the store",
    },
    Room {
        at: "ebpf/src",
        except: Some("ebpf/src/bin"),
        never: &["aya", "aya_ebpf", "aya_log", "aya_log_ebpf"],
        law: "the BPF library never sees aya",
    },
];

/// The two worlds that no module of the agent may hold at once.
const AGENT: &str = "node-agent/src";
const KUBERNETES: [&str; 4] = ["nodeplane_api", "nodeplane_client", "k8s_openapi", "kube"];
const BYTES: &str = "nodeplane_ebpf_abi";

/// Every law that the source at `place` breaks.
pub(super) fn check(place: &Path, source: &str) -> Vec<String> {
    let inside: std::path::PathBuf = place.iter().skip_while(|part| *part != "src").skip(1).collect();
    let named = paths(source, &inside);
    let broken = ROOMS.iter().filter(|room| room.holds(place)).flat_map(|room| {
        let never = |path: &&String| room.never.iter().any(|name| is_in(path, name));
        named.iter().filter(never).map(|path| format!("{} names {path}: {}", place.display(), room.law))
    });
    broken.chain(worlds(place, &named)).collect()
}

impl Room {
    fn holds(&self, place: &Path) -> bool {
        let is_room = place.starts_with(self.at) || place == Path::new(self.at).with_extension("rs");
        is_room && self.except.is_none_or(|except| !place.starts_with(except))
    }
}

/// No module of the agent knows both Kubernetes objects and the kernel's bytes.
fn worlds(place: &Path, named: &[String]) -> Option<String> {
    let names = |name: &str| named.iter().any(|path| is_in(path, name));
    let kubernetes = KUBERNETES.into_iter().find(|name| names(name))?;
    (place.starts_with(AGENT) && names(BYTES))
        .then(|| format!("{} uses both {kubernetes} and {BYTES}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(place: &str, source: &str) -> Vec<String> {
        check(Path::new(place), source)
    }

    #[test]
    fn two_worlds_in_one_module_are_told() {
        for kubernetes in KUBERNETES {
            let both = format!("use {kubernetes}::x::Y;\nlet key = nodeplane_ebpf_abi::service::Key;\n");
            let told = broken("node-agent/src/plan/desired.rs", &both);
            let told_as = format!("node-agent/src/plan/desired.rs uses both {kubernetes} and nodeplane_ebpf_abi");
            assert_eq!(told, [told_as]);
        }
        let one = "use nodeplane_api::meta::Key; // later turned into nodeplane_ebpf_abi::service\n";
        assert_eq!(broken("node-agent/src/model/mod.rs", one), [""; 0]);
    }

    #[test]
    fn an_impure_plan_is_told() {
        let told = broken("node-agent/src/plan/ids.rs", "use std::{fmt, time::Instant};\n");
        assert_eq!(told, ["node-agent/src/plan/ids.rs names std::time::Instant: `plan` is pure"]);
        for impure in ["tokio::spawn(x)", "std::fs::read(x)", "use std::net::{Ipv4Addr, UdpSocket};"] {
            assert_eq!(broken("node-agent/src/plan/mod.rs", impure).len(), 1, "{impure}");
        }
        assert_eq!(broken("node-agent/src/plan/probe.rs", "use std::net::SocketAddrV4;"), [""; 0]);
        assert_eq!(broken("node-agent/src/pods/mod.rs", "use std::time::Instant;"), [""; 0]);
    }

    #[test]
    fn a_private_door_to_the_store_is_told() {
        let doors = [
            ("control-plane/src/controllers/node/mod.rs", "use crate::store::Store;"),
            ("control-plane/src/controllers/namespace.rs", "use super::super::registry::Registry;"),
            ("control-plane/src/scheduler/mod.rs", "use crate::{controllers::world, store};"),
            ("control-plane/src/bootstrap/objects.rs", "crate::registry::create(x)"),
        ];
        for (place, source) in doors {
            let told = broken(place, source);
            assert_eq!(told.len(), 1, "{place}: {told:?}");
            assert!(told[0].ends_with("no private door to the store"), "{told:?}");
        }
        assert_eq!(broken("control-plane/src/http/verbs/get.rs", "use crate::store::Store;"), [""; 0]);
    }

    #[test]
    fn a_bpf_library_that_sees_aya_is_told() {
        let source = "use aya_ebpf::programs::SockAddrContext;";
        let told = broken("ebpf/src/lb.rs", source);
        assert_eq!(told, ["ebpf/src/lb.rs names aya_ebpf::programs::SockAddrContext: the BPF library never sees aya"]);
        assert_eq!(broken("ebpf/src/bin/nodeplane-bpf/maps.rs", source), [""; 0]);
    }

    #[test]
    fn every_room_of_a_law_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for room in ROOMS {
            assert!(root.join(room.at).is_dir(), "{} has moved: the law watches nothing", room.at);
        }
    }
}
