//! The scenarios: each a sentence about a whole cluster, told by the unmodified `kubectl`.
//!
//! Every scenario plays on a cluster with the embedded store and on one with a real etcd, in a
//! Kubernetes namespace of its own. Run them with `cargo xtask test`, or some of them with
//! `cargo xtask test PART-OF-A-NAME`.

mod clients;
mod peer;
mod probe;
mod resolver;
mod scenarios;
mod stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use nodeplane_tests::bed::leftovers;

/// Scenarios mostly wait. A few at a time keep two cores busy; more would only wait for each other.
const AT_A_TIME: usize = 4;

fn main() -> ExitCode {
    if let Some(code) = probe::run_if_asked() {
        return code;
    }
    leftovers::remove_on_signal().expect("signals can be waited for");
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let stage = stage::Stage::default();
    let conclusion = libtest_mimic::run(&arguments, stage.trials(&scenarios::all()));
    stage.clear();
    conclusion.exit_code()
}
