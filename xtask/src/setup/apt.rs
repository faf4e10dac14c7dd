//! Debian's packages: refreshed at most once, installed without starting the services that come along.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::done;
use crate::cmd::Cmd;

/// Asked by package scripts before they start a service (invoke-rc.d(8)); exit status 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\n# Written by Nodeplane's setup while it installs packages.\nexit 101\n";

/// A slow mirror is still a mirror.
const LIMIT: Duration = Duration::from_secs(1800);

/// The package manager during one run of `setup`.
#[derive(Debug, Default)]
pub(crate) struct Apt {
    is_fresh: bool,
}

impl Apt {
    /// Installs those of `packages` that are not installed, after refreshing the lists when they do not know one of them.
    ///
    /// # Errors
    /// When the lists cannot be refreshed or a package cannot be installed.
    pub(crate) fn install(&mut self, packages: &[&str]) -> Result<()> {
        let missing: Vec<_> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !knows_all(&missing)? {
            self.refresh()?;
        }
        let _quiet_services = ServicesStayDown::begin()?;
        if let Err(stale) = install(&missing) {
            // An old list names files that the mirror no longer has.
            if self.is_fresh {
                return Err(stale);
            }
            self.refresh()?;
            install(&missing)?;
        }
        done("packages", &missing.join(" "));
        Ok(())
    }

    fn refresh(&mut self) -> Result<()> {
        if !self.is_fresh {
            Cmd::new("apt-get").args(["update", "-q"]).limit(LIMIT).long_step("apt-get update").run()?;
            self.is_fresh = true;
        }
        Ok(())
    }
}

fn install(packages: &[&str]) -> Result<()> {
    Cmd::new("apt-get")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .limit(LIMIT)
        .long_step(format!("apt-get install {}", packages.join(" ")))
        .run()
}

fn is_installed(package: &str) -> bool {
    let status = Cmd::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).read();
    status.is_ok_and(|status| status == "installed")
}

fn knows_all(packages: &[&str]) -> Result<bool> {
    let policy = Cmd::new("apt-cache").arg("policy").args(packages).env("LC_ALL", "C").read()?;
    Ok(candidates(&policy) == packages.len())
}

/// How many packages of `apt-cache policy` can be installed.
fn candidates(policy: &str) -> usize {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .count()
}

/// While it lives, installed services are not started. A policy of the machine's owner is left alone.
struct ServicesStayDown {
    is_ours: bool,
}

impl ServicesStayDown {
    fn begin() -> Result<Self> {
        let present = std::fs::read_to_string(POLICY).ok();
        // Our own text means that an earlier run was killed: take it over and remove it at the end.
        let is_ours = present.is_none_or(|text| text == POLICY_TEXT) && !Path::new(POLICY).is_symlink();
        if is_ours {
            write_policy()?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = std::fs::remove_file(POLICY)
        {
            eprintln!("warning: {POLICY} could not be removed and keeps services from starting: {error}");
        }
    }
}

fn write_policy() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(POLICY, POLICY_TEXT)
        .and_then(|()| std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {POLICY}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_with_a_candidate_count() {
        let policy =
            "etcd-server:\n  Installed: (none)\n  Candidate: 3.4.23-4\n  Version table:\nnope:\n  Candidate: (none)\n";
        assert_eq!(candidates(policy), 1);
        assert_eq!(candidates(""), 0);
    }
}
