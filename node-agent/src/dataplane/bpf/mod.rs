//! The real dataplane: programs and maps in the kernel, by aya.
//!
//! In: the object, built by `cargo xtask build` and embedded here. Out: maps pinned as
//! `DIR/v<abi>/NP_*` and links pinned as `DIR/v<abi>/links/*`, so that all of it works on while no
//! agent runs. An agent that starts anew takes the pinned maps, and swaps the programs inside the
//! pinned links: at no moment is a socket call or a packet without a program.

mod links;
mod log;
mod pins;
mod selftest;
mod sys;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray},
    programs::{CgroupSockAddr, ProgramError, SchedClassifier},
};
use nodeplane_ebpf_abi::{
    addr::Ipv4Be,
    endpoint::EndpointVal,
    maps::{self, MapSpec},
    ranges::{RANGES_SYMBOL, Ranges},
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
};
use tracing::info;

pub use self::pins::cleanup;
use self::{links::SOCKET_HOOKS, pins::Pins};
use super::{Dataplane, Error, Result, Verdicts, cgroup, verdicts};
use crate::plan::{Image, Limits, Op};

const FROM_POD: &str = "from_pod";

static EMBEDDED: &[u8] = aya::include_bytes_aligned!(env!("NODEPLANE_BPF_OBJECT"));

/// Which object file to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Object {
    /// The one that was built with this agent.
    #[default]
    Embedded,
    /// Another one, of the same ABI version.
    File(PathBuf),
}

/// What the dataplane must know of the node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where pins go; made if missing. On the BPF file system, which is mounted at `/sys/fs/bpf` if
    /// the path is there and it is not.
    pub bpffs: PathBuf,
    /// The cgroup2 folder whose processes use Services. None means all processes.
    pub cgroup_root: Option<PathBuf>,
    /// The cluster's address ranges.
    pub ranges: Ranges,
    /// What to load.
    pub object: Object,
}

/// The programs and maps in the kernel. Dropping it leaves them at work.
pub struct BpfDataplane {
    services: Mutex<ServiceTables>,
    pods: Mutex<Pods>,
    verdicts: PerCpuArray<MapData, u64>,
    pins: Pins,
    cgroup: PathBuf,
    _log: Option<log::Forwarding>,
}

/// Handles of the maps that hold the Services.
struct ServiceTables {
    frontends: HashMap<MapData, SvcKey, SvcVal>,
    slots: HashMap<MapData, SlotKey, u32>,
    backends: HashMap<MapData, u32, BackendVal>,
}

/// What is needed to attach a pod. Apart, so that it is free while Services are written.
struct Pods {
    ebpf: Ebpf,
    endpoints: HashMap<MapData, Ipv4Be, EndpointVal>,
}

impl BpfDataplane {
    /// Loads the programs over the pinned maps, or over new ones, and attaches the socket hooks to
    /// the cgroup, in the place of an earlier agent's if there are any.
    ///
    /// Inside a tokio runtime, what the programs log at debug level goes to tracing's target
    /// `nodeplane::bpf` if that is enabled at this moment.
    ///
    /// # Errors
    /// No BPF file system, no cgroup2, pinned maps of another layout, or the kernel's refusal.
    pub fn open(config: &Config) -> Result<Self> {
        let cgroup = match &config.cgroup_root {
            Some(root) => root.clone(),
            None => cgroup::mount_point()?,
        };
        cgroup::check(&cgroup)?;
        let pins = Pins::prepare(&config.bpffs)?;
        let mut ebpf = load(config, &pins)?;
        let log = log::forward(&mut ebpf);
        for program in SOCKET_HOOKS {
            socket_hook(&mut ebpf, program)?.load().map_err(|error| load_error(program, &error))?;
        }
        from_pod(&mut ebpf)?.load().map_err(|error| load_error(FROM_POD, &error))?;
        attach_sockets(&mut ebpf, &pins, &cgroup)?;
        info!(pins = %pins.dir().display(), cgroup = %cgroup.display(), "BPF programs attached");
        Ok(Self {
            services: Mutex::new(ServiceTables::open(&mut ebpf)?),
            verdicts: take(&mut ebpf, maps::VERDICTS)?,
            pods: Mutex::new(Pods { endpoints: take(&mut ebpf, maps::ENDPOINTS)?, ebpf }),
            pins,
            cgroup,
            _log: log,
        })
    }

    /// Proves that the hooks act: a process in the cgroup connects to a reserved address that leads
    /// to a listener of ours. The address is a loopback one, so that nothing leaves the machine
    /// whatever happens.
    ///
    /// # Errors
    /// [`Error::SelfTest`] says what happened instead.
    pub fn self_test(&self) -> Result<()> {
        let cgroup = &self.cgroup;
        selftest::run(self, cgroup).map_err(|reason| Error::SelfTest { cgroup: cgroup.display().to_string(), reason })
    }

    /// The cgroup whose processes use Services.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }
}

fn attach_sockets(ebpf: &mut Ebpf, pins: &Pins, cgroup: &Path) -> Result<()> {
    for program in SOCKET_HOOKS {
        links::attach_socket_hook(pins, socket_hook(ebpf, program)?, program, cgroup)?;
    }
    links::drop_other_cgroups(pins, cgroup)
}

/// A panic leaves no map half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what the self-test of a killed agent left in the cgroup that `cgroup_root` names, or in the root of all.
pub fn clean_cgroup(cgroup_root: Option<&Path>) {
    if let Some(cgroup) = cgroup_root.map(Path::to_owned).or_else(|| cgroup::mount_point().ok()) {
        selftest::sweep(&cgroup);
    }
}

fn load(config: &Config, pins: &Pins) -> Result<Ebpf> {
    for spec in maps::ALL {
        pins.check_map(spec)?;
    }
    let level = log::level();
    let mut loader = EbpfLoader::new();
    loader.default_map_pin_directory(pins.dir()).override_global(RANGES_SYMBOL, &config.ranges, true).override_global(
        aya_log::LEVEL,
        &level,
        true,
    );
    let loaded = match &config.object {
        Object::Embedded => loader.load(EMBEDDED),
        Object::File(path) => loader.load_file(path),
    };
    loaded.map_err(|error| Error::Load { program: "object".into(), reason: chain(&error) })
}

fn socket_hook<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut CgroupSockAddr> {
    let missing = || Error::Load { program: name.into(), reason: "the object does not have it".into() };
    ebpf.program_mut(name).and_then(|program| program.try_into().ok()).ok_or_else(missing)
}

fn from_pod(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier> {
    let missing = || Error::Load { program: FROM_POD.into(), reason: "the object does not have it".into() };
    ebpf.program_mut(FROM_POD).and_then(|program| program.try_into().ok()).ok_or_else(missing)
}

/// The kernel's errors have their cause, and the verifier's log, behind them.
fn load_error(program: &str, error: &ProgramError) -> Error {
    Error::Load { program: program.into(), reason: chain(error) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl ServiceTables {
    fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            frontends: take(ebpf, maps::FRONTENDS)?,
            slots: take(ebpf, maps::SLOTS)?,
            backends: take(ebpf, maps::BACKENDS)?,
        })
    }

    fn apply(&mut self, op: &Op) -> std::result::Result<(), MapError> {
        match *op {
            Op::PutBackend(id, value) => self.backends.insert(id, value, 0),
            Op::PutSlot(key, id) => self.slots.insert(key, id, 0),
            Op::PutFrontend(key, value) => self.frontends.insert(key, value, 0),
            Op::DropFrontend(key) => gone(self.frontends.remove(&key)),
            Op::DropSlot(key) => gone(self.slots.remove(&key)),
            Op::DropBackend(id) => gone(self.backends.remove(&id)),
        }
    }
}

fn take<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, spec: MapSpec) -> Result<M> {
    let map = ebpf.take_map(spec.name);
    let map = map.ok_or(Error::Map { map: spec.name, reason: "the object does not have it".into() })?;
    M::try_from(map).map_err(|error| map_error(spec, &error))
}

fn map_error(spec: MapSpec, error: &MapError) -> Error {
    Error::Map { map: spec.name, reason: chain(error) }
}

/// What should be gone may be gone already.
fn gone(removed: std::result::Result<(), MapError>) -> std::result::Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

fn read_all<K, V>(map: &HashMap<MapData, K, V>, spec: MapSpec) -> Result<BTreeMap<K, V>>
where
    K: aya::Pod + Ord,
    V: aya::Pod,
{
    map.iter().collect::<std::result::Result<_, _>>().map_err(|error| map_error(spec, &error))
}

impl Dataplane for BpfDataplane {
    fn limits(&self) -> Limits {
        Limits::MAPS
    }

    fn dump(&self) -> Result<Image> {
        let tables = lock(&self.services);
        Ok(Image {
            frontends: read_all(&tables.frontends, maps::FRONTENDS)?,
            slots: read_all(&tables.slots, maps::SLOTS)?,
            backends: read_all(&tables.backends, maps::BACKENDS)?,
        })
    }

    fn apply(&self, ops: &[Op]) -> Result<()> {
        let mut tables = lock(&self.services);
        for (done, op) in ops.iter().enumerate() {
            let failed = |error| Error::Apply { done, total: ops.len(), op: *op, reason: chain(&error) };
            tables.apply(op).map_err(failed)?;
        }
        Ok(())
    }

    fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>> {
        let all = read_all(&lock(&self.pods).endpoints, maps::ENDPOINTS)?;
        Ok(all.into_iter().map(|(addr, value)| (addr.into(), value)).collect())
    }

    fn put_endpoint(&self, addr: Ipv4Addr, value: EndpointVal) -> Result<()> {
        let put = lock(&self.pods).endpoints.insert(Ipv4Be::from(addr), value, 0);
        put.map_err(|error| map_error(maps::ENDPOINTS, &error))
    }

    fn drop_endpoint(&self, addr: Ipv4Addr) -> Result<()> {
        let dropped = lock(&self.pods).endpoints.remove(&Ipv4Be::from(addr));
        gone(dropped).map_err(|error| map_error(maps::ENDPOINTS, &error))
    }

    fn attach_pod(&self, ifindex: u32) -> Result<()> {
        links::attach_from_pod(&self.pins, from_pod(&mut lock(&self.pods).ebpf)?, ifindex)
    }

    fn detach_pod(&self, ifindex: u32) -> Result<()> {
        links::detach_from_pod(&self.pins, ifindex)
    }

    fn attached_pods(&self) -> Result<Vec<u32>> {
        links::attached_pods(&self.pins)
    }

    fn settled(&self) -> Result<()> {
        self.pins.drop_other_versions()
    }

    fn verdicts(&self) -> Result<Verdicts> {
        verdicts(|verdict| {
            let counts = self.verdicts.get(&verdict.0, 0);
            Ok(counts.map_err(|error| map_error(maps::VERDICTS, &error))?.iter().sum())
        })
    }
}
