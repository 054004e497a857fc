//! The texts the agent and its service read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::facts::{Addresses, Facts};
use crate::options::Options;
use crate::paths::Paths;

/// The service's unit file; `@NAMES@` are filled in.
const UNIT_TEMPLATE: &str = include_str!("../../deploy/quorate.service.in");

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// What the member is to be run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Those whose change needs a restart.
    pub member: Variables,
    /// Those that matter to a member without data.
    pub bootstrap: Variables,
    /// Peer URLs to join by.
    pub seeds: BTreeSet<String>,
    /// The options it comes from.
    pub options: Options,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where peers reach this member.
    pub peer_url: String,
    /// Where clients reach this member.
    pub client_url: String,
}

/// Who this unit is in the making of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It founds the cluster: nobody else has, and everybody knows that it does.
    Founder,
    /// It joins, or is a member already.
    Joiner,
}

impl Settings {
    /// The settings of a unit; `None` while Juju knows no address for it.
    pub fn new(
        paths: &Paths,
        options: &Options,
        addresses: &Addresses,
        data_dir: &Path,
        token: &str,
        role: &Role,
        seeds: BTreeSet<String>,
    ) -> Option<Self> {
        let peer_host = addresses.peer.as_deref()?;
        let client_host = addresses.client.as_deref().unwrap_or(peer_host);
        let peer_url = url(peer_host, options.management_port);
        let client_url = url(client_host, options.port);
        let listen = |bind: Option<&str>, port| match bind {
            Some(bind) if !options.is_bound_to_all => url(bind, port),
            Some(bind) if bind.contains(':') => url("::", port),
            _ => url("0.0.0.0", port),
        };
        let peer_bind = addresses.peer_bind.as_deref();
        let client_bind = addresses.client_bind.as_deref().or(peer_bind);
        let member = [
            ("ETCD_NAME", paths.unit().to_owned()),
            ("ETCD_DATA_DIR", data_dir.display().to_string()),
            ("ETCD_ADMIN_SOCKET", paths.admin_socket().display().to_string()),
            ("ETCD_JOIN_SEEDS_FILE", paths.seeds().display().to_string()),
            ("ETCD_INITIAL_ADVERTISE_PEER_URLS", peer_url.clone()),
            ("ETCD_ADVERTISE_CLIENT_URLS", client_url.clone()),
            ("ETCD_LISTEN_PEER_URLS", listen(peer_bind, options.management_port)),
            ("ETCD_LISTEN_CLIENT_URLS", listen(client_bind, options.port)),
            ("ETCD_HEARTBEAT_INTERVAL", options.heartbeat_ms.to_string()),
            ("ETCD_ELECTION_TIMEOUT", options.election_ms.to_string()),
            ("ETCD_QUOTA_BACKEND_BYTES", options.quota_bytes.to_string()),
            ("ETCD_AUTO_COMPACTION_MODE", options.compaction_mode.clone()),
            ("ETCD_AUTO_COMPACTION_RETENTION", options.compaction_retention.clone()),
        ];
        let mut bootstrap = vec![("ETCD_INITIAL_CLUSTER_TOKEN", token.to_owned())];
        match role {
            Role::Founder => bootstrap.extend([
                ("ETCD_INITIAL_CLUSTER_STATE", "new".to_owned()),
                ("ETCD_INITIAL_CLUSTER", format!("{}={peer_url}", paths.unit())),
            ]),
            Role::Joiner => bootstrap.push(("ETCD_INITIAL_CLUSTER_STATE", "existing".to_owned())),
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Some(Self {
            member: member.into_iter().map(owned).collect(),
            bootstrap: bootstrap.into_iter().map(owned).collect(),
            seeds,
            options: options.clone(),
            data_dir: data_dir.to_owned(),
            peer_url,
            client_url,
        })
    }

    /// The same unit with other options.
    pub fn with_options(&self, facts: &Facts, options: &Options) -> Option<Self> {
        let is_founder = self.bootstrap.contains_key("ETCD_INITIAL_CLUSTER");
        let role = if is_founder { Role::Founder } else { Role::Joiner };
        let token = self.bootstrap.get("ETCD_INITIAL_CLUSTER_TOKEN")?;
        let (paths, addresses) = (&facts.paths, &facts.addresses);
        Self::new(paths, options, addresses, &self.data_dir, token, &role, self.seeds.clone())
    }

    /// The text of `member.env`, with the flags as `QUORATE_ARGS`.
    pub fn member_env(&self) -> String {
        let mut variables = self.member.clone();
        variables.insert("QUORATE_ARGS".to_owned(), self.options.extra_args.join(" "));
        environment_file("Settings of the member: a change is followed by a restart.", &variables)
    }

    /// The text of `bootstrap.env`.
    pub fn bootstrap_env(&self) -> String {
        let about = "Read by a member that has no data yet; no meaning to any other.";
        environment_file(about, &self.bootstrap)
    }

    /// The text of the seeds' file.
    pub fn seeds_file(&self) -> String {
        self.seeds.iter().fold(String::new(), |text, seed| text + seed + "\n")
    }

    /// The text of the service's unit file.
    pub fn unit_file(&self, paths: &Paths) -> String {
        let text = |path: PathBuf| path.display().to_string();
        let fill = [
            ("@UNIT@", paths.unit().to_owned()),
            ("@MEMBER_ENV@", text(paths.member_env())),
            ("@BOOTSTRAP_ENV@", text(paths.bootstrap_env())),
            ("@AGENT@", text(paths.agent())),
            ("@DATA@", text(self.data_dir.clone())),
            ("@RUNTIME@", paths.runtime_directory()),
        ];
        fill.into_iter()
            .fold(UNIT_TEMPLATE.to_owned(), |unit, (name, value)| unit.replace(name, &value))
    }

    /// The text for `systemd-tmpfiles`: the folders of this unit and who owns them.
    pub fn tmpfiles(&self, paths: &Paths) -> String {
        let mut text = "# Written by the charm. Folders of one unit.\n".to_owned();
        let mut folder = |kind: &str, path: &Path, mode: &str, user: &str, group: &str| {
            let path = path.display();
            writeln!(text, "{kind} {path} {mode} {user} {group} -").expect("a text grows");
        };
        folder("d", &paths.settings(), "0750", "root", "quorate");
        folder("d", &self.data_dir, "0700", "quorate", "quorate");
        folder("Z", &self.data_dir, "-", "quorate", "quorate");
        folder("z", &paths.member_env(), "0640", "root", "quorate");
        folder("z", &paths.bootstrap_env(), "0640", "root", "quorate");
        folder("z", &paths.seeds(), "0640", "root", "quorate");
        text
    }
}

/// The text for `systemd-sysusers`: the account all members of a machine run under.
pub fn sysusers() -> &'static str {
    "# Written by the charm.\nu quorate - \"Quorate key-value store\" /var/lib/quorate\n"
}

/// An address with a port; brackets around IPv6.
pub fn url(host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("http://[{host}]:{port}"),
        false => format!("http://{host}:{port}"),
    }
}

/// An environment file as the service manager reads it: each value quoted, so that spaces stay.
fn environment_file(about: &str, variables: &Variables) -> String {
    let mut text = format!("# Written by the charm. {about}\n");
    for (name, value) in variables {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        writeln!(text, "{name}=\"{value}\"").expect("a text grows");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use juju::Config;

    fn settings(json: &str, address: &str, role: Role) -> Settings {
        let options = Options::read(&Config::from_config(serde_json::from_str(json).unwrap()));
        let host = Some(address.to_owned());
        let addresses = Addresses {
            peer_bind: host.clone(),
            peer: host.clone(),
            client_bind: host.clone(),
            client: host,
            public: None,
        };
        let paths = Paths::new("/", "/charm", "etcd-0");
        let data = paths.data();
        Settings::new(&paths, &options.unwrap(), &addresses, &data, "T", &role, BTreeSet::new())
            .unwrap()
    }

    #[test]
    fn a_founder_names_itself_and_a_joiner_nobody() {
        let founder = settings("{}", "10.0.0.1", Role::Founder).bootstrap_env();
        assert!(
            founder.contains("ETCD_INITIAL_CLUSTER=\"etcd-0=http://10.0.0.1:2380\"\n"),
            "{founder}"
        );
        assert!(founder.contains("ETCD_INITIAL_CLUSTER_STATE=\"new\"\n"), "{founder}");
        let joiner = settings("{}", "10.0.0.1", Role::Joiner).bootstrap_env();
        assert!(!joiner.contains("ETCD_INITIAL_CLUSTER="), "{joiner}");
        assert!(joiner.contains("ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n"), "{joiner}");
    }

    #[test]
    fn the_role_is_no_reason_to_restart() {
        let founder = settings("{}", "10.0.0.1", Role::Founder);
        assert_eq!(founder.member_env(), settings("{}", "10.0.0.1", Role::Joiner).member_env());
    }

    #[test]
    fn listening_follows_the_option_and_the_address_family() {
        let listen = |json: &str, address: &str| {
            settings(json, address, Role::Joiner).member["ETCD_LISTEN_CLIENT_URLS"].clone()
        };
        assert_eq!(listen("{}", "10.0.0.1"), "http://0.0.0.0:2379");
        assert_eq!(listen("{}", "fd00::1"), "http://[::]:2379");
        let bound = r#"{"bind-to-all-interfaces":false}"#;
        assert_eq!(listen(bound, "10.0.0.1"), "http://10.0.0.1:2379");
        assert_eq!(listen(bound, "fd00::1"), "http://[fd00::1]:2379");
    }

    #[test]
    fn extra_flags_are_one_quoted_variable() {
        let env = settings(r#"{"extra-args":"--a=1  --b 2"}"#, "h", Role::Joiner).member_env();
        assert!(env.contains("QUORATE_ARGS=\"--a=1 --b 2\"\n"), "{env}");
    }

    #[test]
    fn the_unit_file_has_no_place_left_open() {
        let paths = Paths::new("/m/1", "/charm", "etcd-0");
        let unit = settings("{}", "h", Role::Joiner).unit_file(&paths);
        let is_open = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(!unit.split('@').skip(1).any(is_open), "{unit}");
        for line in [
            "Type=notify",
            "Restart=always",
            "EnvironmentFile=/m/1/etc/quorate/etcd-0/member.env",
            "ExecStart=/m/1/opt/quorate/etcd-0/current/quorate $QUORATE_ARGS",
            "RuntimeDirectory=quorate-etcd-0",
            "ProtectSystem=strict",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line} is missing:\n{unit}");
        }
    }
}
