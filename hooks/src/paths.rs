//! Where everything of one unit lies on its machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that puts the machine's files below another directory than `/`.
pub const ROOT_VARIABLE: &str = "QUORATE_CHARM_ROOT";

/// The files and folders of one unit. Several units may share a machine, so each path that is not
/// the same for all carries the unit's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
    charm: PathBuf,
    unit: String,
}

impl Paths {
    /// The paths of `unit` (its member name, `etcd-0`) below `root`.
    pub fn new(root: impl Into<PathBuf>, charm: impl Into<PathBuf>, unit: &str) -> Self {
        Self { root: root.into(), charm: charm.into(), unit: unit.to_owned() }
    }

    /// The root this process was told by [`ROOT_VARIABLE`]; `/` without it.
    pub fn root_or_slash(variable: Option<OsString>) -> PathBuf {
        variable.filter(|root| !root.is_empty()).map_or_else(|| PathBuf::from("/"), PathBuf::from)
    }

    /// The unit's name with a hyphen: the member's name.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The agent that the charm carries; also the program that asks a running one.
    pub fn carried_agent(&self) -> PathBuf {
        self.charm.join("bin/quorate")
    }

    /// The program that fetches releases.
    pub fn fetcher(&self) -> PathBuf {
        self.charm.join("bin/quorate-release")
    }

    /// The unpacked releases and the links to the current and the previous one.
    pub fn software(&self) -> PathBuf {
        self.root.join("opt/quorate").join(&self.unit)
    }

    /// The agent that runs.
    pub fn agent(&self) -> PathBuf {
        self.software().join("current/quorate")
    }

    /// Settings of the unit.
    pub fn settings(&self) -> PathBuf {
        self.root.join("etc/quorate").join(&self.unit)
    }

    /// Variables whose change needs a restart.
    pub fn member_env(&self) -> PathBuf {
        self.settings().join("member.env")
    }

    /// Variables that matter to a member without data.
    pub fn bootstrap_env(&self) -> PathBuf {
        self.settings().join("bootstrap.env")
    }

    /// Peer URLs to join by, one per line.
    pub fn seeds(&self) -> PathBuf {
        self.settings().join("seeds")
    }

    /// Name of the service.
    pub fn service(&self) -> String {
        format!("quorate-{}.service", self.unit)
    }

    /// The service's unit file.
    pub fn unit_file(&self) -> PathBuf {
        self.root.join("etc/systemd/system").join(self.service())
    }

    /// The account the agent runs under.
    pub fn sysusers(&self) -> PathBuf {
        self.root.join("usr/lib/sysusers.d/quorate.conf")
    }

    /// The folders of the unit and who owns them.
    pub fn tmpfiles(&self) -> PathBuf {
        self.root.join(format!("usr/lib/tmpfiles.d/quorate-{}.conf", self.unit))
    }

    /// The data directory of a unit without storage.
    pub fn data(&self) -> PathBuf {
        self.root.join("var/lib/quorate").join(&self.unit)
    }

    /// The data directory on a storage mounted at `location`.
    pub fn data_on(location: &Path) -> PathBuf {
        location.join("quorate")
    }

    /// Name of the folder below `/run` that the service manager makes.
    pub fn runtime_directory(&self) -> String {
        format!("quorate-{}", self.unit)
    }

    /// The agent's admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("run").join(self.runtime_directory()).join("admin.sock")
    }

    /// The charm's own notes about this unit.
    pub fn notes(&self) -> PathBuf {
        self.root.join("var/lib/quorate-charm").join(&self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_machine_share_nothing_but_the_account() {
        let one = Paths::new("/", "/charm", "etcd-1");
        let ten = Paths::new("/", "/charm", "etcd-10");
        assert_eq!(one.admin_socket(), Path::new("/run/quorate-etcd-1/admin.sock"));
        assert_eq!(one.unit_file(), Path::new("/etc/systemd/system/quorate-etcd-1.service"));
        assert_eq!(one.sysusers(), ten.sysusers());
        for (one, ten) in [
            (one.software(), ten.software()),
            (one.settings(), ten.settings()),
            (one.data(), ten.data()),
            (one.notes(), ten.notes()),
            (one.tmpfiles(), ten.tmpfiles()),
        ] {
            assert!(!ten.starts_with(&one), "{one:?} {ten:?}");
        }
    }

    #[test]
    fn another_root_holds_everything_but_the_charm() {
        let paths = Paths::new(Paths::root_or_slash(Some("/m/0".into())), "/charm", "etcd-0");
        assert_eq!(paths.member_env(), Path::new("/m/0/etc/quorate/etcd-0/member.env"));
        assert_eq!(paths.carried_agent(), Path::new("/charm/bin/quorate"));
        assert_eq!(Paths::root_or_slash(Some("".into())), Path::new("/"));
    }
}
