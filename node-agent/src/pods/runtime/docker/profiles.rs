//! Security profiles of the node: whether there are those that a container must have.

use std::fs;

use crate::pods::runtime::{AppArmor, RuntimeError, Seccomp, Security};

/// Says whether the kernel has AppArmor.
const APP_ARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// The content of the seccomp profile that a container must have, if it is one of the node's. What
/// the engine would leave out in silence is refused.
pub(super) fn load(security: &Security) -> Result<Option<String>, RuntimeError> {
    if matches!(security.app_armor, AppArmor::Default | AppArmor::Localhost(_)) && !has_app_armor() {
        let why = "Cannot enforce AppArmor: AppArmor is not enabled on the host";
        return Err(RuntimeError::Refused(why.to_owned()));
    }
    let Seccomp::Localhost(path) = &security.seccomp else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    // The engine takes the content, and refuses what is no profile in words that do not name it.
    let json = text.and_then(|text| match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    });
    json.map(Some)
        .map_err(|why| RuntimeError::Refused(format!("cannot load seccomp profile \"{}\": {why}", path.display())))
}

fn has_app_armor() -> bool {
    fs::read_to_string(APP_ARMOR).is_ok_and(|text| text.trim() == "Y")
}

#[cfg(test)]
mod tests;
