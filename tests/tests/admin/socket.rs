//! The socket's file, and who may use it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use quorate_tests::{Cluster, Server, Shape, Suite};

use crate::ask::{admin, admin_at, answer, cluster_of, command, give_socket, socket_of};

/// Nobody's, on every system the suite runs on.
const OTHER_UID: u32 = 65_534;

pub fn add(suite: &mut Suite) {
    suite.on_ours("the_socket_goes_with_its_process", None, the_socket_goes_with_its_process);
    suite.on_ours("a_killed_process_leaves_no_obstacle", None, a_killed_process_leaves_no_obstacle);
    suite.on_ours(
        "a_second_process_on_the_socket_is_refused",
        None,
        a_second_process_on_the_socket_is_refused,
    );
    let is_root = rustix::process::geteuid().is_root();
    let skip = (!is_root).then(|| "only root can become another user".to_owned());
    suite.on_ours("another_user_is_refused", skip, another_user_is_refused);
    suite.on_ours("no_member_is_no_answer", None, no_member_is_no_answer);
}

async fn the_socket_goes_with_its_process(server: Server) {
    let mut cluster = cluster_of(&server, 1).await;
    let member = &mut cluster.members[0];
    let socket = socket_of(member);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    member.terminate();
    assert!(member.ends_within(Duration::from_secs(15)).await.success());
    assert!(!socket.exists());
    let unreachable = admin(&server, member, "status").await;
    assert_eq!(unreachable.code, Some(3), "{unreachable:?}");
}

async fn a_killed_process_leaves_no_obstacle(server: Server) {
    let mut cluster = cluster_of(&server, 1).await;
    let member = &mut cluster.members[0];
    member.kill();
    assert!(socket_of(member).exists(), "nobody could remove it");
    let refused = admin(&server, member, "status").await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.starts_with("quorate: no member listens on "), "{refused:?}");
    member.start();
    member.ready().await;
    assert_eq!(admin(&server, member, "status").await.code, Some(0));
}

async fn a_second_process_on_the_socket_is_refused(server: Server) {
    let cluster = cluster_of(&server, 1).await;
    let mut other = Cluster::prepare(&server, Shape::of(1));
    let socket = socket_of(&cluster.members[0]);
    let flag = format!("--admin-socket={}", socket.display());
    other.members[0].flags_mut().extra.push(flag);
    other.members[0].start();
    let ended = other.members[0].ends_within(Duration::from_secs(15)).await;
    assert_eq!(ended.code(), Some(1));
    let log = other.members[0].log();
    let reason = "another process listens there: stop it or choose another --admin-socket";
    let line = format!("quorate: cannot open the admin socket {}: {reason}", socket.display());
    assert!(log.lines().any(|found| found == line), "{log}");
    assert!(!other.members[0].data_dir().exists(), "nothing was touched");
    assert_eq!(admin(&server, &cluster.members[0], "status").await.code, Some(0));
}

async fn another_user_is_refused(server: Server) {
    let cluster = cluster_of(&server, 1).await;
    let socket = socket_of(&cluster.members[0]);
    // A place of the test's own where the other user may go, and the program it may run.
    let place = tempfile::Builder::new().prefix("quorate-test-").tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("quorate");
    fs::copy(&server.path, &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let other = Server { path: program, ..server.clone() };

    let denied = as_other(&other, &socket).await;
    assert_eq!(denied.code, Some(1), "the mode keeps others away: {denied:?}");
    assert!(denied.stderr.contains("only root and the member's own user may"), "{denied:?}");

    // Somebody opens every door there is: the member still asks who comes.
    for directory in [cluster.directory(), socket.parent().unwrap()] {
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let refused = as_other(&other, &socket).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with("quorate: no whole answer on "), "{refused:?}");
    assert_eq!(admin(&server, &cluster.members[0], "status").await.code, Some(0));
    let log = cluster.members[0].log();
    assert!(log.contains("refused another user on the admin socket"), "{log}");
}

async fn as_other(server: &Server, socket: &Path) -> crate::ask::Answer {
    let mut command = command(server, &["admin", "status"]);
    command.env("ETCD_ADMIN_SOCKET", socket).uid(OTHER_UID).gid(OTHER_UID).current_dir("/");
    answer(command.output().await.unwrap())
}

async fn no_member_is_no_answer(server: Server) {
    let directory = tempfile::Builder::new().prefix("quorate-test-").tempdir().unwrap();
    let nowhere = directory.path().join("admin.sock");
    let answer = admin_at(&server, &nowhere, "status").await;
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert!(answer.json.is_null() && answer.stderr.lines().count() == 1, "{answer:?}");

    // A process that is there and says nothing is waited for only so long.
    let mut cluster = Cluster::prepare(&server, Shape::of(1));
    give_socket(&mut cluster.members[0]);
    cluster.members[0].start();
    cluster.all_ready().await;
    cluster.members[0].pause();
    let mut command = command(&server, &["admin", "--timeout-s=1", "status"]);
    let late = command.env("ETCD_ADMIN_SOCKET", socket_of(&cluster.members[0])).output();
    let late = crate::ask::answer(late.await.unwrap());
    cluster.members[0].resume();
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("within 1 s"), "{late:?}");
}
