//! Sees to it that a container's image is there (kubelet `images.EnsureImageExists`).

mod name;

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};

use super::hands::Hands;
use crate::pods::{
    message::Failure,
    pod::PodExt,
    pull_secrets,
    runtime::{Credentials, Image, RuntimeError},
};

impl Hands {
    /// The image of a container, by its pull policy.
    pub(super) async fn ensure_image(&self, pod: &Pod, container: &Container) -> Result<Image, Failure> {
        let reference = container.image.as_deref().unwrap_or_default();
        let name = &container.name;
        if let Err(wrong) = name::check(reference) {
            return Err(self.invalid_name(pod, name, reference, &wrong));
        }
        let present = match self.context.runtime.image(reference).await {
            Ok(present) => present,
            Err(error) => return Err(self.image_failed(pod, name, "ImageInspectError", error.to_string())),
        };
        match (policy(container), present) {
            ("Never", None) => {
                let message = format!("Container image \"{reference}\" is not present with pull policy of Never");
                self.tell(pod, name, true, "ErrImageNeverPull", &message);
                Err(self.image_failed(pod, name, "ErrImageNeverPull", message))
            }
            ("Never" | "IfNotPresent", Some(image)) => {
                let message = format!("Container image \"{reference}\" already present on machine");
                self.tell(pod, name, false, "Pulled", &message);
                Ok(image)
            }
            _ => self.pull(pod, name, reference).await,
        }
    }

    async fn pull(&self, pod: &Pod, name: &str, reference: &str) -> Result<Image, Failure> {
        self.tell(pod, name, false, "Pulling", &format!("Pulling image \"{reference}\""));
        let begun = Instant::now();
        match self.pull_as_any(pod, reference).await {
            Ok(image) => {
                let (took, size) = (go_seconds(begun.elapsed()), image.size);
                let message = format!(
                    "Successfully pulled image \"{reference}\" in {took} ({took} including waiting). \
                     Image size: {size} bytes."
                );
                self.tell(pod, name, false, "Pulled", &message);
                Ok(image)
            }
            Err(error) => {
                let message = format!("Failed to pull image \"{reference}\": {error}");
                self.tell(pod, name, true, "Failed", &message);
                Err(self.image_failed(pod, name, "ErrImagePull", error.to_string()))
            }
        }
    }

    /// Asks with each of the pod's credentials that fit, until one may have the image.
    async fn pull_as_any(&self, pod: &Pod, reference: &str) -> Result<Image, RuntimeError> {
        let all = self.pull_credentials(pod, reference).await;
        let mut refused = None;
        for credentials in &all {
            match self.context.runtime.pull(reference, Some(credentials)).await {
                Err(error) => refused = Some(error),
                pulled => return pulled,
            }
        }
        match refused {
            Some(error) => Err(error),
            None => self.context.runtime.pull(reference, None).await,
        }
    }

    async fn pull_credentials(&self, pod: &Pod, reference: &str) -> Vec<Credentials> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for secret in PodExt::spec(pod).image_pull_secrets.iter().flatten() {
            let read = self.context.api.secret(&self.pod.namespace, &secret.name).await;
            match read.ok().flatten().and_then(|secret| pull_secrets::fitting(&secret, reference)) {
                Some(credentials) => found.extend(credentials),
                None => missing.push(secret.name.as_str()),
            }
        }
        if !missing.is_empty() {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.tell(pod, "", true, "FailedToRetrieveImagePullSecret", &message);
        }
        found
    }

    fn invalid_name(&self, pod: &Pod, name: &str, reference: &str, wrong: &str) -> Failure {
        let message = format!(
            "Failed to apply default image tag \"{reference}\": couldn't parse image name \"{reference}\": {wrong}"
        );
        self.tell(pod, name, true, "InspectFailed", &message);
        self.image_failed(pod, name, "InvalidImageName", message)
    }

    fn image_failed(&self, pod: &Pod, name: &str, reason: &'static str, message: String) -> Failure {
        self.tell(pod, name, true, "Failed", &format!("Error: {reason}"));
        Failure::new(reason, message)
    }
}

/// Defaulted by the API server; a pod that came another way gets the same.
fn policy(container: &Container) -> &str {
    let reference = container.image.as_deref().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    let newest = !reference.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    let default = if newest { "Always" } else { "IfNotPresent" };
    container.image_pull_policy.as_deref().filter(|policy| !policy.is_empty()).unwrap_or(default)
}

/// `1.234s` or `56ms`, as Go writes durations rounded to milliseconds.
fn go_seconds(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 {
        return format!("{milliseconds}ms");
    }
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
