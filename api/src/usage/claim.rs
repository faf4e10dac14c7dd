//! What claims of volumes use: their number and their size, also by class.

use serde_json::Value;

use super::{Amounts, amount};
use crate::quantity::Quantity;

const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
const NUMBER: &str = "persistentvolumeclaims";
const SIZE: &str = "requests.storage";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn tracks(name: &str) -> bool {
    let bare = name.split_once(OF_CLASS).map_or(name, |(_, bare)| bare);
    matches!(bare, NUMBER | SIZE)
}

pub(super) fn usage(claim: &Value) -> Amounts {
    let asked = amount(&claim["spec"]["resources"]["requests"]["storage"]);
    let given = amount(&claim["status"]["allocatedResources"]["storage"]);
    let one = Quantity::from_units(1);
    let mut usage = Amounts::from([(NUMBER.to_owned(), one)]);
    let size = asked.map(|asked| given.map_or(asked, |given| asked.max(given)));
    usage.extend(size.map(|size| (SIZE.to_owned(), size)));
    let class = claim["metadata"]["annotations"][CLASS_ANNOTATION].as_str();
    let class = class.or_else(|| claim["spec"]["storageClassName"].as_str()).filter(|class| !class.is_empty());
    if let Some(class) = class {
        usage.insert(format!("{class}{OF_CLASS}{NUMBER}"), one);
        usage.extend(size.map(|size| (format!("{class}{OF_CLASS}{SIZE}"), size)));
    }
    usage
}
