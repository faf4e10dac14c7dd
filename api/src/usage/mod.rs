//! What objects use of what a quota limits (upstream `pkg/quota/v1/evaluator`).
//!
//! In: objects, and names as quotas have them: `pods`, `requests.cpu`, `count/deployments.apps`.
//! Out: amounts. Whoever admits an object and whoever counts all of them count alike. Pure; the
//! time is a parameter.

mod claim;
mod pod;
mod scopes;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    pod::{missing, total},
    scopes::chooses,
};
use crate::{kinds::Kind, quantity::Quantity};

/// Amounts by name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Kinds whose number was limited before everything could be counted.
const OLD_NAMES: [&str; 5] = ["replicationcontrollers", "resourcequotas", "secrets", "configmaps", "services"];

/// Whether quotas count objects of a kind at all.
pub fn is_counted(kind: &Kind) -> bool {
    kind.is_stored() && kind.is_namespaced() && kind.kind != "Event" && !kind.is_view()
}

/// The name under which objects of a kind are counted.
pub fn count_name(kind: &Kind) -> String {
    format!("count/{}", kind.qualified_plural())
}

/// Whether an amount of this name is about objects of a kind.
pub fn is_about(kind: &Kind, name: &str) -> bool {
    let own = match (kind.group, kind.plural) {
        ("", "pods") => pod::tracks(name),
        ("", "persistentvolumeclaims") => claim::tracks(name),
        ("", "services") => service::tracks(name),
        ("", plural) => OLD_NAMES.contains(&plural) && name == plural,
        _ => false,
    };
    own || name.strip_prefix("count/").is_some_and(|counted| counted == kind.qualified_plural())
}

/// Whether a change of an object of this kind may change what it uses; others use what they are
/// made with.
pub fn may_change(kind: &Kind) -> bool {
    kind.group.is_empty() && matches!(kind.plural, "persistentvolumeclaims" | "services")
}

/// What an object of a kind uses.
pub fn of(kind: &Kind, object: &Value, now: Timestamp) -> Amounts {
    let mut amounts = match (kind.group, kind.plural) {
        ("", "pods") => pod::usage(object, now),
        ("", "persistentvolumeclaims") => claim::usage(object),
        ("", "services") => service::usage(object),
        ("", plural) if OLD_NAMES.contains(&plural) => Amounts::from([(plural.to_owned(), Quantity::from_units(1))]),
        _ => Amounts::new(),
    };
    amounts.insert(count_name(kind), Quantity::from_units(1));
    amounts
}

/// The amounts of a map of an object, such as `status.hard`.
pub fn read(amounts: &Value) -> Amounts {
    let entries = amounts.as_object().into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.clone(), amount.as_str()?.parse().ok()?))).collect()
}

/// The same as part of an object.
pub fn write(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, amount)| (name.clone(), Value::from(amount.to_string()))).collect()
}

/// Adds amounts to others.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_insert(Quantity::ZERO) += *amount;
    }
}

/// `a=1,b=2`: amounts as messages show them.
pub fn shown(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// A field that is an amount.
fn amount(value: &Value) -> Option<Quantity> {
    value.as_str()?.parse().ok()
}
