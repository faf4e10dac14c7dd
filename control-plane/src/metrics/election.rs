//! Whether this server leads: `leader_election_master_status`. A server that stands in no election
//! does not say.

use std::sync::OnceLock;

use nodeplane_metrics::{Gauge, Text};

static STANDS: OnceLock<(&str, Gauge)> = OnceLock::new();

/// This server stands for election by a lease, and leads or does not.
pub fn leads(lease: &'static str, does: bool) {
    STANDS.get_or_init(|| (lease, Gauge::new())).1.set(does.into());
}

/// Shows it.
pub(super) fn show(text: &mut Text) {
    let Some((lease, leads)) = STANDS.get() else { return };
    let help = "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates \
                master. 'name' is the string used to identify the lease. Please make sure to group by name.";
    text.group("leader_election_master_status", "gauge", help).level(&[("name", lease)], leads.get());
}
