//! Another release: by `bin-source`, by the resource, with another charm; and what must not be taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::common::{APP, Etcd, Load, tree};
use super::config_watch::{Watch, main_pid};
use super::upgrade_archive as archive;
use super::upgrade_server::WebServer;

/// All units take the release, one after another; writing goes on and nothing is lost.
pub fn good() {
    let etcd = Etcd::healthy(21, 3);
    etcd.store().put("key", "value");
    let carried = current(&etcd, "etcd/0");
    let archive = archive::of_member();
    let sum = archive::sha256(&archive);
    let web = WebServer::start();
    let url = web.publish("/quorate.tar.gz", archive);
    let load = Load::start(etcd.client_urls());
    let watch = Watch::start(&etcd);
    etcd.model.set_config(APP, &[("bin-source", &url), ("source-sum", &sum)]).unwrap();
    etcd.settle("all units run the release", |etcd| {
        let run = |unit: &String| current(etcd, unit) == sum[..12];
        etcd.units().iter().all(run) && etcd.what_is_wrong().is_none()
    });
    let (seen, report) = (watch.end(), load.end());
    etcd.hooks_never_failed();
    assert_eq!(seen.most_down_at_once, 1, "{seen:?}");
    assert_eq!(seen.down_without_turn, Vec::<String>::new());
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert!(report.slowest < Duration::from_secs(6), "{:?}", report.slowest);
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 3]);
    assert_eq!(web.count("/quorate.tar.gz"), 3, "each unit fetches it once");
    for unit in etcd.units() {
        assert_eq!(seen.pids_of(&etcd)[&unit], 2, "{unit} was restarted once");
        assert_eq!(link(&etcd, &unit, "previous"), carried);
        let exe =
            std::fs::read_link(format!("/proc/{}/exe", main_pid(&etcd.model, &unit))).unwrap();
        assert_eq!(exe, software(&etcd, &unit).join("releases").join(&sum[..12]).join("quorate"));
    }
}

/// A wrong sum blocks with both sums and changes nothing; the right one mends it.
pub fn bad_sum() {
    let etcd = Etcd::healthy(22, 1);
    etcd.store().put("key", "value");
    let before = Picture::of(&etcd);
    let archive = archive::of_wrapper("bad sum");
    let right = archive::sha1(&archive);
    let wrong = right.chars().rev().collect::<String>();
    let web = WebServer::start();
    let url = web.publish("/r.tar.gz", archive);
    take(&etcd, &url, &wrong);
    let line = blocked(&etcd);
    assert!(line.contains(&right) && line.contains(&wrong), "{line}");
    before.must_be_unchanged(&etcd);
    etcd.model.update_status();
    etcd.model.drain().unwrap();
    assert_eq!(blocked(&etcd), line);
    assert_eq!(web.count("/r.tar.gz"), 1, "not fetched again before the options change");

    etcd.model.set_config(APP, &[("source-sum", &right.to_uppercase())]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), right[..12]);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
}

/// Archives that are damaged or mean harm are refused as a whole, whatever their sum.
pub fn bad_archives() {
    let etcd = Etcd::healthy(23, 1);
    etcd.store().put("key", "value");
    let before = Picture::of(&etcd);
    let whole = archive::of_member();
    let absolute = etcd.model.root("etcd/0").unwrap().join("escaped").display().to_string();
    let web = WebServer::start();
    for (name, content, why) in [
        ("truncated", whole[..whole.len() / 2].to_vec(), "cut short"),
        ("parent", archive::with_path("../../../escaped"), "'..'"),
        ("absolute", archive::with_path(&absolute), "absolute path"),
        ("empty", Vec::new(), ""),
        ("text", b"<html>not found</html>".to_vec(), ""),
    ] {
        let sum = archive::sha512(&content);
        let path = format!("/{name}.tar.gz");
        let url = web.publish(&path, content);
        take(&etcd, &url, &sum);
        let line = blocked(&etcd);
        assert!(line.starts_with("release not taken: ") && line.contains(why), "{name}: {line}");
        before.must_be_unchanged(&etcd);
        assert_eq!(escaped(&etcd), Vec::<PathBuf>::new(), "{name}");
        etcd.model.update_status();
        etcd.model.drain().unwrap();
        assert_eq!(web.count(&path), 1, "{name} is not fetched again");
    }
    take(&etcd, &web.url("/nowhere.tar.gz"), &"0".repeat(64));
    let line = blocked(&etcd);
    assert!(line.contains("404") && line.contains("/nowhere.tar.gz"), "{line}");
    before.must_be_unchanged(&etcd);
    etcd.model.reset_config(APP, "bin-source").unwrap();
    etcd.model.reset_config(APP, "source-sum").unwrap();
    etcd.becomes_healthy();
    before.must_be_unchanged(&etcd);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
}

/// A release that ends at once is taken back on every unit, one after another, and not tried again.
pub fn crashing() {
    let etcd = Etcd::healthy(24, 3);
    etcd.store().put("key", "value");
    let carried = current(&etcd, "etcd/0");
    let archive = archive::of_script("[ \"$1\" = check ] && exit 0\nexit 1");
    never_ready(&etcd, &archive, &carried);
    etcd.model.reset_config(APP, "bin-source").unwrap();
    etcd.model.reset_config(APP, "source-sum").unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 3]);
}

/// A release that runs and never says that it is ready is taken back as well.
pub fn silent() {
    let etcd = Etcd::healthy(25, 1);
    etcd.store().put("key", "value");
    let carried = current(&etcd, "etcd/0");
    let archive = archive::of_script("[ \"$1\" = check ] && exit 0\nexec sleep 600");
    never_ready(&etcd, &archive, &carried);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
}

fn never_ready(etcd: &Etcd, archive: &[u8], carried: &str) {
    let sum = archive::sha256(archive);
    let web = WebServer::start();
    let url = web.publish("/r.tar.gz", archive.to_vec());
    let load = Load::start(etcd.client_urls());
    etcd.model.set_config(APP, &[("bin-source", &url), ("source-sum", &sum)]).unwrap();
    etcd.model.drain().unwrap();
    let expected = format!(
        "release {} did not become ready; rolled back to {carried}: give another bin-source and \
         source-sum",
        &sum[..12]
    );
    for unit in etcd.units() {
        let shown = etcd.model.status().units[&unit].status.clone();
        assert_eq!((shown.status.as_str(), shown.message.as_str()), ("blocked", expected.as_str()));
        assert_eq!(current(etcd, &unit), carried);
    }
    let restarted: Vec<u32> = pids(etcd);
    etcd.model.update_status();
    etcd.model.drain().unwrap();
    assert_eq!(pids(etcd), restarted, "it is not tried again before the options change");
    let report = load.end();
    if etcd.units().len() > 1 {
        assert!(report.failures.is_empty(), "{:?}", report.failures);
    }
    etcd.hooks_never_failed();
}

/// A release that says itself that it cannot run with these options is never started.
pub fn unwilling() {
    let etcd = Etcd::healthy(26, 1);
    let before = Picture::of(&etcd);
    let web = WebServer::start();
    let archive = archive::of_script("echo 'quorate: too old a kernel' >&2; exit 1");
    let url = web.publish("/r.tar.gz", archive.clone());
    take(&etcd, &url, &archive::sha256(&archive));
    let line = blocked(&etcd);
    assert!(line.contains(&archive::sha256(&archive)[..12]), "it names the release: {line}");
    assert!(line.contains("too old a kernel") && line.contains("bin-source"), "{line}");
    assert_eq!(current(&etcd, "etcd/0"), before.current);
    assert_eq!(main_pid(&etcd.model, "etcd/0"), before.pid);
}

/// The resource `release` is taken with and without a sum, and given back.
pub fn resource() {
    let etcd = Etcd::healthy(27, 1);
    etcd.store().put("key", "value");
    let carried = current(&etcd, "etcd/0");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quorate.tar.gz");
    let archive = archive::of_wrapper("resource");
    let sum = archive::sha256(&archive);
    std::fs::write(&file, &archive).unwrap();

    etcd.model.set_config(APP, &[("source-sum", &"0".repeat(64))]).unwrap();
    etcd.model.drain().unwrap();
    assert!(blocked(&etcd).contains("without bin-source"), "{}", blocked(&etcd));
    etcd.model.attach_resource(APP, "release", &file).unwrap();
    etcd.model.drain().unwrap();
    assert!(blocked(&etcd).contains(&sum), "{}", blocked(&etcd));
    assert_eq!(current(&etcd, "etcd/0"), carried);
    etcd.model.set_config(APP, &[("source-sum", &sum)]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), sum[..12]);

    let other = dir.path().join("other.tar.gz");
    let archive = archive::of_wrapper("another resource");
    std::fs::write(&other, &archive).unwrap();
    etcd.model.reset_config(APP, "source-sum").unwrap();
    etcd.model.attach_resource(APP, "release", &other).unwrap();
    etcd.becomes_healthy();
    assert_ne!(current(&etcd, "etcd/0"), sum[..12]);

    let none = dir.path().join("none");
    std::fs::write(&none, b"").unwrap();
    etcd.model.attach_resource(APP, "release", &none).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), carried);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
    etcd.hooks_never_failed();
}

/// Another charm brings its store along; one with the same store restarts nobody.
pub fn refresh() {
    let etcd = Etcd::healthy(28, 3);
    etcd.store().put("key", "value");
    let (carried, before) = (current(&etcd, "etcd/0"), pids(&etcd));
    etcd.model.refresh(APP, &tree().unwrap()).unwrap();
    etcd.becomes_healthy();
    assert_eq!(pids(&etcd), before, "the same store is no reason to restart");

    let dir = tempfile::tempdir().unwrap();
    let charm = dir.path().join("charm");
    copy(&tree().unwrap(), &charm);
    // The same program with other bytes: what lies behind an executable's sections is not read.
    let mut member = std::fs::read(tree().unwrap().join("bin/quorate")).unwrap();
    member.extend_from_slice(b"another build");
    std::fs::write(charm.join("bin/quorate"), member).unwrap();
    let watch = Watch::start(&etcd);
    etcd.model.refresh(APP, &charm).unwrap();
    etcd.settle("all units run the new charm's store", |etcd| {
        let has = |unit: &String| current(etcd, unit) != carried;
        etcd.units().iter().all(has) && etcd.what_is_wrong().is_none()
    });
    assert_eq!(watch.end().most_down_at_once, 1);
    etcd.hooks_never_failed();
    assert!(current(&etcd, "etcd/0").starts_with("charm-"));
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 3]);
}

/// What must not change when a release is refused.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    current: String,
    releases: Vec<String>,
    pid: u32,
    settings: BTreeMap<PathBuf, String>,
}

impl Picture {
    fn of(etcd: &Etcd) -> Self {
        let settings = etcd.model.root("etcd/0").unwrap().join("etc/quorate/etcd-0");
        let read = |name: &str| {
            let path = settings.join(name);
            (path.clone(), std::fs::read_to_string(path).unwrap())
        };
        Self {
            current: current(etcd, "etcd/0"),
            releases: names(&software(etcd, "etcd/0").join("releases")),
            pid: main_pid(&etcd.model, "etcd/0"),
            settings: ["member.env", "bootstrap.env"].into_iter().map(read).collect(),
        }
    }

    fn must_be_unchanged(&self, etcd: &Etcd) {
        assert_eq!(Self::of(etcd), *self);
        etcd.hooks_never_failed();
    }
}

fn take(etcd: &Etcd, url: &str, sum: &str) {
    etcd.model.set_config(APP, &[("bin-source", url), ("source-sum", sum)]).unwrap();
    etcd.model.drain().unwrap();
}

/// The message of unit 0, which must be blocked.
fn blocked(etcd: &Etcd) -> String {
    let shown = etcd.model.status().units["etcd/0"].status.clone();
    assert_eq!(shown.status, "blocked", "{}", shown.message);
    assert!(!shown.message.contains('\n'), "{}", shown.message);
    shown.message
}

fn software(etcd: &Etcd, unit: &str) -> PathBuf {
    etcd.model.root(unit).unwrap().join("opt/quorate").join(unit.replace('/', "-"))
}

/// Id of the release that `current` points at.
pub fn current(etcd: &Etcd, unit: &str) -> String {
    link(etcd, unit, "current")
}

fn link(etcd: &Etcd, unit: &str, name: &str) -> String {
    let target = std::fs::read_link(software(etcd, unit).join(name)).unwrap_or_default();
    target.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn pids(etcd: &Etcd) -> Vec<u32> {
    etcd.units().iter().map(|unit| main_pid(&etcd.model, unit)).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Files that an archive has written where it must not.
fn escaped(etcd: &Etcd) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![etcd.model.root("etcd/0").unwrap()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains("escaped") {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A copy of a charm's tree, two levels deep.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
