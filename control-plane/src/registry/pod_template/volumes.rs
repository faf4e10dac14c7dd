//! What is wrong with volumes and where containers mount them (upstream `ValidateVolumes`,
//! `ValidateVolumeMounts`).

use std::collections::BTreeSet;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::Value;

use super::spec::{Seen, refuse_all};
use crate::registry::fields::At;

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Names of a pod's volumes.
pub(super) type Volumes<'a> = Seen<'a>;

/// Adds what is wrong with a pod's volumes, and gives the names that containers may mount.
pub(super) fn check_volumes<'a>(volumes: &At<'a>, errors: &mut FieldErrors) -> Volumes<'a> {
    let mut seen = Seen::new();
    for volume in volumes.items() {
        let name = volume.field("name");
        if name.text().is_empty() {
            errors.required(name.path.clone(), "");
        } else {
            let wrong = names::label_1123(name.text());
            let is_fine = wrong.is_empty();
            refuse_all(&name, wrong, errors);
            if is_fine && !seen.insert(name.text()) {
                errors.duplicate(name.path.clone(), name.text());
            }
        }
        check_source(&volume, errors);
    }
    seen
}

fn check_source(volume: &At<'_>, errors: &mut FieldErrors) {
    let fields = volume.value.as_object().into_iter().flatten();
    let sources: Vec<&String> =
        fields.filter(|(name, value)| *name != "name" && !value.is_null()).map(|(name, _)| name).collect();
    if sources.is_empty() {
        errors.required(volume.path.clone(), "must specify a volume type");
    }
    for (index, kind) in sources.into_iter().enumerate() {
        let source = volume.field(kind);
        if index > 0 {
            errors.forbidden(source.path, "may not specify more than 1 volume type");
            continue;
        }
        check_source_of(kind, &source, errors);
    }
}

fn check_source_of(kind: &str, source: &At<'_>, errors: &mut FieldErrors) {
    match kind {
        "configMap" => check_files(source, "name", errors),
        "secret" => check_files(source, "secretName", errors),
        "downwardAPI" => check_mode(&source.field("defaultMode"), errors),
        "projected" => check_projected(source, errors),
        "persistentVolumeClaim" => require(&source.field("claimName"), errors),
        "hostPath" => check_host_path(source, errors),
        "emptyDir" => {
            let limit = source.field("sizeLimit");
            if limit.text().parse::<Quantity>().is_ok_and(Quantity::is_negative) {
                errors.forbidden(limit.path, "SizeLimit field must be a valid resource quantity");
            }
        }
        "nfs" => {
            require(&source.field("server"), errors);
            require(&source.field("path"), errors);
        }
        "image" => require(&source.field("reference"), errors),
        _ => {}
    }
}

fn check_files(source: &At<'_>, name: &str, errors: &mut FieldErrors) {
    require(&source.field(name), errors);
    check_mode(&source.field("defaultMode"), errors);
    for item in source.field("items").items() {
        require(&item.field("key"), errors);
        let path = item.field("path");
        require(&path, errors);
        check_relative(&path, errors);
        check_mode(&item.field("mode"), errors);
    }
}

fn check_projected(source: &At<'_>, errors: &mut FieldErrors) {
    check_mode(&source.field("defaultMode"), errors);
    for part in source.field("sources").items() {
        match part.len() {
            0 => errors.required(part.path.clone(), "must specify a projected volume type"),
            1 => {}
            _ => errors.forbidden(part.path.clone(), "may not specify more than 1 volume type per source"),
        }
        for name in ["configMap", "secret"] {
            let files = part.field(name);
            if files.is_set() {
                require(&files.field("name"), errors);
            }
        }
        let token = part.field("serviceAccountToken");
        if token.is_set() {
            require(&token.field("path"), errors);
            let seconds = token.field("expirationSeconds");
            if seconds.integer().is_some_and(|value| value < 600) {
                let words = "may not specify a duration less than 10 minutes";
                errors.invalid(seconds.path, seconds.value.clone(), words);
            }
        }
    }
}

fn check_host_path(source: &At<'_>, errors: &mut FieldErrors) {
    let path = source.field("path");
    require(&path, errors);
    refuse_parent(&path, errors);
    let kind = source.field("type");
    if kind.is_set() && !HOST_PATH_TYPES.contains(&kind.text()) {
        errors.not_supported(kind.path.clone(), kind.text(), &HOST_PATH_TYPES);
    }
}

fn check_mode(mode: &At<'_>, errors: &mut FieldErrors) {
    if mode.integer().is_some_and(|value| !(0..=0o777).contains(&value)) {
        let words = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.invalid(mode.path.clone(), mode.value.clone(), words);
    }
}

fn check_relative(path: &At<'_>, errors: &mut FieldErrors) {
    if path.text().starts_with('/') {
        errors.invalid(path.path.clone(), path.text(), "must be a relative path");
    }
    refuse_parent(path, errors);
}

fn refuse_parent(path: &At<'_>, errors: &mut FieldErrors) {
    if path.text().split('/').any(|part| part == "..") {
        errors.invalid(path.path.clone(), path.text(), "must not contain '..'");
    }
}

fn require(field: &At<'_>, errors: &mut FieldErrors) {
    if field.text().is_empty() {
        errors.required(field.path.clone(), "");
    }
}

/// Adds what is wrong with where a container mounts volumes.
pub(super) fn check_mounts(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut FieldErrors) {
    let mut paths = BTreeSet::new();
    for mount in container.field("volumeMounts").items() {
        let name = mount.field("name");
        if name.text().is_empty() {
            errors.required(name.path.clone(), "");
        }
        if !volumes.contains(name.text()) {
            errors.not_found(name.path.clone(), name.text());
        }
        let path = mount.field("mountPath");
        require(&path, errors);
        if !paths.insert(path.text()) {
            errors.invalid(path.path.clone(), path.text(), "must be unique");
        }
        let (sub, expression) = (mount.field("subPath"), mount.field("subPathExpr"));
        check_relative(&unnumbered(container, &sub, "subPath"), errors);
        if !sub.text().is_empty() && !expression.text().is_empty() {
            let words = "subPathExpr and subPath are mutually exclusive";
            errors.invalid(expression.path.clone(), expression.text(), words);
        }
        check_relative(&unnumbered(container, &expression, "subPathExpr"), errors);
        check_propagation(container, &mount, errors);
    }
}

/// A field of a mount under the path that upstream gives it, without the number of the mount.
fn unnumbered<'a>(container: &At<'_>, field: &At<'a>, name: &str) -> At<'a> {
    At { value: field.value, path: format!("{}.volumeMounts.{name}", container.path) }
}

fn check_propagation(container: &At<'_>, mount: &At<'_>, errors: &mut FieldErrors) {
    const MODES: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
    let mode = unnumbered(container, &mount.field("mountPropagation"), "mountPropagation");
    let is_privileged = container.value["securityContext"]["privileged"] == Value::Bool(true);
    match mode.text() {
        "" => {}
        "Bidirectional" if !is_privileged => {
            errors.forbidden(
                mode.path.clone(),
                "Bidirectional mount propagation is available only to privileged containers",
            );
        }
        text if MODES.contains(&text) => {}
        text => errors.not_supported(mode.path.clone(), text, &MODES),
    }
}
