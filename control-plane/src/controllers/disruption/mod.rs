//! Keeps the status of disruption budgets: how many pods there should be, how many are well, and
//! how many of them may be evicted.
//!
//! In: PodDisruptionBudgets and Pods, from caches; how many pods their controllers want, from the
//! server. Out: `.status`, events. What it says is decided in [`plan`]; pods are evicted by the API
//! server alone, which asks this status. Behaviour of upstream's `pkg/controller/disruption`.

mod plan;
mod scale;
mod stale;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{
    core::v1::Pod,
    policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
};
use kube::ResourceExt;
use nodeplane_api::{kinds::Subresource, meta::Key, selector::LabelSelector};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Informer,
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;

use super::{
    caches::{Caches, row},
    ownership,
};

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    let budgets = caches.budgets.clone();
    let controller = Controller::new("disruption", hands.clone())
        .on(&caches.budgets, |budget: &PodDisruptionBudget| vec![Key::of_meta(&budget.metadata)])
        .on(&caches.pods, move |pod: &Pod| budgets_of(&budgets, pod));
    let stale = stale::run(hands, caches.clone(), shutdown.clone());
    tokio::join!(controller.run(2, Budgets { caches, recorder }, shutdown), stale);
}

/// The budgets that count a pod.
fn budgets_of(budgets: &Informer<PodDisruptionBudget>, pod: &Pod) -> Vec<Key> {
    budgets.with(|budgets| {
        let here = budgets.values().filter(|budget| budget.metadata.namespace == pod.metadata.namespace);
        here.filter(|budget| counts(budget, pod)).map(|budget| Key::of_meta(&budget.metadata)).collect()
    })
}

/// Whether a budget counts a pod. An empty selector counts all of the namespace.
fn counts(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = serde_json::to_value(selector).unwrap_or_default();
    let label = |key: &str| pod.metadata.labels.as_ref()?.get(key).map(String::as_str);
    LabelSelector::from_value(&selector).is_ok_and(|selector| selector.matches_by(label))
}

struct Budgets {
    caches: Caches,
    recorder: Recorder,
}

impl Reconcile for Budgets {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(budget) = self.caches.budgets.get(key) else { return Ok(Next::Wait) };
        let pods = self.pods_of(&budget, &key.namespace);
        let expected = match plan::needs_scales(&budget) {
            true => self.scales(&pods, apply.hands()).await?,
            false => Ok(plan::Expected::default()),
        };
        let now = Timestamp::now();
        let expected = match expected {
            Ok(expected) => expected,
            Err(why) => return self.fail(&budget, &why, now, apply).await,
        };
        let plan = plan::plan(&budget, &pods, &expected, now);
        if budget.status.as_ref() != Some(&plan.status) {
            self.tell(&budget, &pods, &expected);
            apply.one(&status_write(&budget, plan.status)).await?;
        }
        Ok(Next::after(plan.recheck))
    }
}

impl Budgets {
    fn pods_of(&self, budget: &PodDisruptionBudget, namespace: &str) -> Vec<Arc<Pod>> {
        self.caches.pods.with(|pods| {
            let here = pods.iter().filter(|(key, _)| key.namespace == namespace);
            here.map(|(_, pod)| pod.clone()).filter(|pod| counts(budget, pod)).collect()
        })
    }

    /// How many pods the controllers of these pods want together, or why that is not known.
    async fn scales(&self, pods: &[Arc<Pod>], hands: &Hands) -> Result<Result<plan::Expected, String>, WriteError> {
        let (mut scales, mut unmanaged) = (BTreeMap::new(), Vec::new());
        for pod in pods {
            let Some(owner) = ownership::controller_of(&pod.metadata) else {
                unmanaged.push(pod.name_any());
                continue;
            };
            if scales.contains_key(&owner.uid) {
                continue;
            }
            let namespace = pod.namespace().unwrap_or_default();
            match scale::scale(owner, &namespace, hands).await? {
                Ok(Some((uid, replicas))) => {
                    // All sets of a deployment are one.
                    scales.insert(owner.uid.clone(), (uid, replicas));
                }
                Ok(None) => return Ok(Err(format!("found no controllers for pod {:?}", pod.name_any()))),
                Err(why) => return Ok(Err(why)),
            }
        }
        let by_controller: BTreeMap<String, i64> = scales.into_values().collect();
        Ok(Ok(plan::Expected { pods: by_controller.values().sum(), unmanaged }))
    }

    fn tell(&self, budget: &PodDisruptionBudget, pods: &[Arc<Pod>], expected: &plan::Expected) {
        if pods.is_empty() {
            self.recorder.about(budget, Severity::Normal, "NoPods", "No matching pods found");
        }
        if !expected.unmanaged.is_empty() {
            let words = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of \
                         the PDB cannot be calculated correctly, which may result in undefined behavior. To account for \
                         these pods please set \".spec.minAvailable\" field of the PDB to an integer value.";
            self.recorder.about(budget, Severity::Warning, "UnmanagedPods", words);
        }
    }

    /// Nobody is evicted while nobody knows how many pods there should be.
    async fn fail(
        &self,
        budget: &PodDisruptionBudget,
        why: &str,
        now: Timestamp,
        apply: &Apply,
    ) -> Result<Next, WriteError> {
        let status = plan::failed(budget, why, now);
        if budget.status.as_ref() != Some(&status) {
            let words = format!("Failed to calculate the number of expected pods: {why}");
            self.recorder.about(budget, Severity::Warning, "CalculateExpectedPodCountFailed", words);
            apply.one(&status_write(budget, status)).await?;
        }
        Ok(Next::Wait)
    }
}

fn status_write(budget: &PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> Write {
    let changed = PodDisruptionBudget { status: Some(status), ..budget.clone() };
    Write::replace(row::<PodDisruptionBudget>(), Some(Subresource::Status), &changed)
}
