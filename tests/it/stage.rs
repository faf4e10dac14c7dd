//! The clusters that scenarios play on: one per store, both made when they are first needed.
//!
//! Scenarios that keep to their namespace share a cluster and run side by side. One that stops parts
//! of a cluster, or changes the node, has it alone.

use std::{
    fmt::Write as _,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use anyhow::{Result, anyhow};
use libtest_mimic::{Failed, Trial};
use nodeplane_tests::bed::cluster::{Cluster, StoreKind};

/// What everybody is told after the first failure of a cluster.
const BROKEN: &str = "the cluster is broken: see the first failure";

/// What a scenario does, on a cluster and in a namespace of its own.
#[derive(Clone, Copy)]
pub(crate) enum Play {
    /// Side by side with others.
    Shared(fn(&Cluster, &str) -> Result<()>),
    /// With the cluster to itself.
    Alone(fn(&mut Cluster, &str) -> Result<()>),
}

/// A named scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) play: Play,
}

impl Scenario {
    /// Its module and function, without what all of them have in common.
    fn title(&self) -> &'static str {
        self.name.split_once("scenarios::").map_or(self.name, |(_, title)| title)
    }

    fn namespace(&self) -> String {
        let function = self.name.rsplit("::").next().unwrap_or_default().replace('_', "-");
        function[..function.len().min(50)].trim_end_matches('-').to_owned()
    }
}

/// Both clusters.
#[derive(Default)]
pub(crate) struct Stage {
    embedded: Arc<RwLock<Set>>,
    etcd: Arc<RwLock<Set>>,
}

/// A cluster, when it is needed.
#[derive(Default)]
enum Set {
    #[default]
    Idle,
    Up(Box<Cluster>),
    /// It did not start, or could not be mended; the first who saw it has told why.
    Broken,
}

impl Stage {
    /// All scenarios on both stores: first those that share, then those that want to be alone.
    pub(crate) fn trials(&self, scenarios: &[Scenario]) -> Vec<Trial> {
        let (shared, alone): (Vec<_>, Vec<_>) =
            scenarios.iter().partition(|scenario| matches!(scenario.play, Play::Shared(_)));
        let mut trials = Vec::new();
        for group in [shared, alone] {
            for (store, prefix, set) in
                [(StoreKind::Embedded, "embedded", &self.embedded), (StoreKind::Etcd, "etcd", &self.etcd)]
            {
                trials.extend(group.iter().map(|&&scenario| {
                    let set = Arc::clone(set);
                    let name = format!("{prefix}::{}", scenario.title());
                    Trial::test(name, move || play(&set, store, scenario).map_err(Failed::from))
                }));
            }
        }
        trials
    }

    /// Takes the clusters down.
    pub(crate) fn clear(&self) {
        for set in [&self.embedded, &self.etcd] {
            *write(set) = Set::Idle;
        }
    }
}

fn play(set: &RwLock<Set>, store: StoreKind, scenario: Scenario) -> Result<(), String> {
    match scenario.play {
        Play::Shared(act) => {
            if matches!(*read(set), Set::Idle) {
                write(set).raise(store)?;
            }
            match &*read(set) {
                Set::Up(cluster) => in_namespace(&**cluster, scenario, |cluster, ns| act(cluster, ns)),
                Set::Idle | Set::Broken => Err(BROKEN.to_owned()),
            }
        }
        Play::Alone(act) => {
            let mut set = write(set);
            let cluster = set.raise(store)?;
            let played = in_namespace(&mut *cluster, scenario, |cluster, ns| act(cluster, ns));
            if played.is_err()
                && let Err(error) = cluster.mend()
            {
                eprintln!("the cluster does not come up again: {error:#}");
                *set = Set::Broken;
            }
            played
        }
    }
}

impl Set {
    /// The cluster, started now if it was not yet.
    fn raise(&mut self, store: StoreKind) -> Result<&mut Cluster, String> {
        if matches!(self, Self::Idle) {
            match Cluster::start(store) {
                Ok(cluster) => *self = Self::Up(Box::new(cluster)),
                Err(error) => {
                    *self = Self::Broken;
                    return Err(format!("the cluster does not start: {error:#}"));
                }
            }
        }
        match self {
            Self::Up(cluster) => Ok(cluster),
            Self::Idle | Self::Broken => Err(BROKEN.to_owned()),
        }
    }
}

/// Plays in a new namespace; a failure comes with what the cluster looked like.
fn in_namespace<C: Deref<Target = Cluster>>(
    mut cluster: C,
    scenario: Scenario,
    act: impl FnOnce(&mut C, &str) -> Result<()>,
) -> Result<(), String> {
    let namespace = scenario.namespace();
    let played = catch_unwind(AssertUnwindSafe(|| {
        cluster.create_namespace(&namespace)?;
        act(&mut cluster, &namespace)
    }));
    let played = played.unwrap_or_else(|panic| Err(anyhow!(words(panic.as_ref()))));
    let told = played.map_err(|error| format!("{error:#}\n{}", state_of(&cluster, &namespace)));
    // Whoever comes next need not wait for this one's pods to go.
    let _ = cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false", "--ignore-not-found"]);
    told
}

fn read(set: &RwLock<Set>) -> RwLockReadGuard<'_, Set> {
    set.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(set: &RwLock<Set>) -> RwLockWriteGuard<'_, Set> {
    set.write().unwrap_or_else(PoisonError::into_inner)
}

fn state_of(cluster: &Cluster, namespace: &str) -> String {
    let mut state = String::new();
    for args in [["get", "all,endpointslices,events", "-o", "wide"].as_slice(), &["describe", "pods"]] {
        let answer = cluster.kubectl(&[args, &["-n", namespace]].concat());
        let _ = match answer {
            Ok(answer) => write!(state, "{}{}", answer.stdout, answer.stderr),
            Err(error) => writeln!(state, "{error:#}"),
        };
    }
    state + &cluster.host().logs()
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the scenario panicked").to_owned()
}
