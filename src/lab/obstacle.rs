//! Why a lab cannot be had here, and what the user can do about it.

use nix::errno::Errno;
use std::fs;
use std::io;

/// Why a lab cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LabError {
    text: String,
}

impl LabError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// For `map_err`: the system did not let the lab do `what`.
    pub(super) fn step(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| {
            let is_denied = matches!(
                error.raw_os_error().map(Errno::from_raw),
                Some(Errno::EPERM | Errno::EACCES | Errno::ENOSPC | Errno::EUSERS | Errno::EINVAL)
            ) || error.kind() == io::ErrorKind::PermissionDenied;
            let advice = if is_denied { advice(&Switches::read()) } else { String::new() };
            let error = crate::base::text::show_error(&error);
            Self::new(format!("no lab here: cannot {what}: {error}{advice}"))
        }
    }
}

/// What of the system decides whether ordinary users get namespaces.
#[derive(Clone, Copy, Debug, Default)]
struct Switches {
    /// Kernel 4.9 and later: how many; 0 forbids.
    has_user_namespaces: bool,
    has_net_namespaces: bool,
    has_pid_namespaces: bool,
    /// Debian's own switch.
    is_forbidden_by_debian: bool,
    /// Ubuntu's, from 23.10 on: the namespace can be made, and then nothing done in it.
    is_restricted_by_apparmor: bool,
    /// Containers filter system calls.
    is_filtered: bool,
}

impl Switches {
    fn read() -> Self {
        let reads = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let status = reads("/proc/self/status");
        Self {
            has_user_namespaces: reads("/proc/sys/user/max_user_namespaces") != "0",
            has_net_namespaces: reads("/proc/sys/user/max_net_namespaces") != "0",
            has_pid_namespaces: reads("/proc/sys/user/max_pid_namespaces") != "0",
            is_forbidden_by_debian: reads("/proc/sys/kernel/unprivileged_userns_clone") == "0",
            is_restricted_by_apparmor: reads(
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            ) == "1",
            is_filtered: status.lines().any(|line| line == "Seccomp:\t2"),
        }
    }
}

fn advice(switches: &Switches) -> String {
    let sysctl = |name: &str, value: u32| {
        format!("; {name} forbids it, and this allows it: sudo sysctl -w {name}={value}")
    };
    if !switches.has_user_namespaces {
        sysctl("user.max_user_namespaces", 15000)
    } else if !switches.has_net_namespaces {
        sysctl("user.max_net_namespaces", 15000)
    } else if !switches.has_pid_namespaces {
        sysctl("user.max_pid_namespaces", 15000)
    } else if switches.is_forbidden_by_debian {
        sysctl("kernel.unprivileged_userns_clone", 1)
    } else if switches.is_restricted_by_apparmor {
        sysctl("kernel.apparmor_restrict_unprivileged_userns", 0)
    } else if switches.is_filtered {
        "; a filter on system calls forbids it, as containers have: start the container with \
         --privileged, or run volley outside of it"
            .into()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Switches = Switches {
        has_user_namespaces: true,
        has_net_namespaces: true,
        has_pid_namespaces: true,
        is_forbidden_by_debian: false,
        is_restricted_by_apparmor: false,
        is_filtered: false,
    };

    #[test]
    fn the_switch_that_forbids_it_is_named_with_the_command_that_allows_it() {
        for (switches, words) in [
            (Switches { has_user_namespaces: false, ..OPEN }, "user.max_user_namespaces=15000"),
            (Switches { has_net_namespaces: false, ..OPEN }, "user.max_net_namespaces=15000"),
            (Switches { has_pid_namespaces: false, ..OPEN }, "user.max_pid_namespaces=15000"),
            (
                Switches { is_forbidden_by_debian: true, ..OPEN },
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                Switches { is_restricted_by_apparmor: true, ..OPEN },
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (Switches { is_filtered: true, ..OPEN }, "--privileged"),
        ] {
            assert!(advice(&switches).contains(words), "{switches:?}: {}", advice(&switches));
        }
        assert_eq!(advice(&OPEN), "");
    }

    #[test]
    fn advice_is_given_only_where_something_is_denied() {
        let said = |errno: Errno| LabError::step("make it")(errno.into()).to_string();
        assert_eq!(said(Errno::ENOMEM), "no lab here: cannot make it: Cannot allocate memory");
        assert!(
            said(Errno::EPERM).starts_with("no lab here: cannot make it: Operation not permitted")
        );
    }
}
