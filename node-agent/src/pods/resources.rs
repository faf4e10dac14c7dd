//! Requests and limits as the kernel's numbers (kubelet `kuberuntime_container_linux.go`, `cm/helpers_linux.go`,
//! `qos/policy.go`). Pure.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::{
    runtime::Resources,
    status::{Qos, class},
};

/// The least weight that the kernel takes.
const MIN_SHARES: i64 = 2;
/// The largest weight that the kernel takes.
const MAX_SHARES: i64 = 262_144;
/// Microseconds over which a CPU quota counts.
const PERIOD: i64 = 100_000;
/// The least quota that the kernel takes, microseconds.
const MIN_QUOTA: i64 = 1_000;

/// What the node gives to pods; stands in for limits that are not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocatable {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of disk.
    pub storage: i64,
}

/// An exact amount in billionths; nothing when the text is no quantity.
pub fn nano(text: &str) -> Option<i128> {
    text.parse().ok().map(nodeplane_api::quantity::Quantity::nanos)
}

/// Thousandths, rounded up.
pub fn milli(text: &str) -> Option<i64> {
    nano(text).and_then(|nano| i64::try_from(ceil(nano, 1_000_000)).ok())
}

/// Whole units, rounded up.
pub fn units(text: &str) -> Option<i64> {
    nano(text).and_then(|nano| i64::try_from(ceil(nano, 1_000_000_000)).ok())
}

fn ceil(amount: i128, unit: i128) -> i128 {
    amount.div_euclid(unit) + i128::from(amount.rem_euclid(unit) > 0)
}

/// One of a container's requests or limits.
pub fn asked<'a>(container: &'a Container, limits: bool, resource: &str) -> Option<&'a str> {
    let resources = container.resources.as_ref()?;
    let amounts = if limits { &resources.limits } else { &resources.requests };
    amounts.as_ref()?.get(resource).map(|quantity| quantity.0.as_str())
}

/// The kernel's numbers for a container.
pub fn of(spec: &PodSpec, container: &Container, node: Allocatable) -> Resources {
    let limit = asked(container, true, "cpu").and_then(milli).unwrap_or_default();
    let request = asked(container, false, "cpu").and_then(milli).unwrap_or(limit);
    let quota = if limit > 0 { (limit * PERIOD / 1000).max(MIN_QUOTA) } else { 0 };
    Resources {
        cpu_shares: (request * 1024 / 1000).clamp(MIN_SHARES, MAX_SHARES),
        cpu_quota: quota,
        cpu_period: if quota > 0 { PERIOD } else { 0 },
        memory: asked(container, true, "memory").and_then(units).unwrap_or_default(),
        oom_score_adj: oom_score(spec, container, node.memory),
    }
}

fn oom_score(spec: &PodSpec, container: &Container, capacity: i64) -> i64 {
    if spec.priority_class_name.as_deref() == Some("system-node-critical") {
        return -997;
    }
    match class(spec) {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let limit = asked(container, true, "memory").and_then(units);
            let request = asked(container, false, "memory").and_then(units).or(limit).unwrap_or_default();
            let share = i64::try_from(1000 * i128::from(request) / i128::from(capacity.max(1))).unwrap_or(1000);
            // Above every Guaranteed container, below every BestEffort one.
            (1000 - share).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NODE: Allocatable = Allocatable { milli_cpu: 4000, memory: 8 << 30, storage: 100 << 30 };

    fn check(resources: &serde_json::Value, expected: Resources) {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{ "name": "c", "resources": resources }]
        }))
        .expect("a pod specification");
        assert_eq!(of(&spec, &spec.containers[0], NODE), expected, "{resources}");
    }

    #[test]
    fn a_container_that_asks_for_nothing_goes_first() {
        check(&json!({}), Resources { cpu_shares: 2, oom_score_adj: 1000, ..Resources::default() });
    }

    #[test]
    fn a_guaranteed_container_goes_last() {
        check(
            &json!({ "limits": { "cpu": "500m", "memory": "1Gi" } }),
            Resources { cpu_shares: 512, cpu_quota: 50_000, cpu_period: 100_000, memory: 1 << 30, oom_score_adj: -997 },
        );
    }

    #[test]
    fn a_burstable_container_goes_the_sooner_the_less_it_asked_for() {
        check(
            &json!({ "requests": { "cpu": "1", "memory": "4Gi" } }),
            Resources { cpu_shares: 1024, oom_score_adj: 500, ..Resources::default() },
        );
        check(
            &json!({ "requests": { "memory": "1" }, "limits": { "cpu": "5m" } }),
            Resources {
                cpu_shares: 5,
                cpu_quota: 1_000,
                cpu_period: 100_000,
                oom_score_adj: 999,
                ..Resources::default()
            },
        );
    }
}
