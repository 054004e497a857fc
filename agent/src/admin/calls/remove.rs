//! `POST /v1/remove`: another member is taken out of the cluster.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use raft::{MemberInfo, RemovalReason};
use serde::{Deserialize, Serialize};
use store::MemberId;

use super::member;
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::life::Life;

/// Whom, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    /// 16 hex digits, or a name.
    member: String,
    #[serde(default = "operator")]
    reason: String,
}

fn operator() -> String {
    RemovalReason::Operator.as_str().to_owned()
}

/// Who is gone.
#[derive(Serialize)]
pub struct Removed {
    removed: String,
}

/// Removes a member that can be done without.
///
/// # Errors
/// `not-found`, `unsafe`, `last-voter`, `no-quorum`, `no-member`, `bad-request`.
pub async fn remove(life: &Arc<Life>, request: Request<Incoming>) -> Result<Removed, Refusal> {
    let Remove { member: whom, reason } = request::json(request).await?;
    let reason = match reason.parse() {
        Ok(reason @ (RemovalReason::ScaleIn | RemovalReason::Operator)) => reason,
        _ => {
            let error = format!("{reason:?} is no reason: expected scale-in or operator");
            return Err(Refusal::bad_request(error));
        }
    };
    let member = member(life)?;
    let id = find(&member.node.members(), &whom)?;
    member.node.remove_member(id, reason).await?;
    tracing::info!(%id, reason = reason.as_str(), "removed a member");
    Ok(Removed { removed: format!("{:016x}", id.0) })
}

/// By id first: nobody can hide behind a name that looks like another member's id.
fn find(members: &[MemberInfo], whom: &str) -> Result<MemberId, Refusal> {
    let id = u64::from_str_radix(whom, 16).ok();
    if let Some(found) = members.iter().find(|member| Some(member.id.0) == id) {
        return Ok(found.id);
    }
    let mut named = members.iter().filter(|member| !whom.is_empty() && member.name == whom);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found.id),
        (Some(_), Some(_)) => Err(Refusal::bad_request(format!(
            "several members are called {whom:?}: use the id that quorate admin status shows"
        ))),
        (None, _) => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("no member has the id or name {whom:?}; quorate admin status lists them"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: u64, name: &str) -> MemberInfo {
        MemberInfo { id: MemberId(id), name: name.to_owned(), ..MemberInfo::default() }
    }

    #[test]
    fn a_member_is_found_by_id_or_by_a_name_that_only_it_has() {
        let members = [info(0xa, "etcd-0"), info(0xb, "a"), info(0xc, "twin"), info(0xd, "twin")];
        for (whom, id) in [("000000000000000a", 0xa), ("etcd-0", 0xa), ("a", 0xa), ("b", 0xb)] {
            assert_eq!(find(&members, whom), Ok(MemberId(id)), "{whom}");
        }
        let code = |whom| find(&members, whom).map_err(|refusal| refusal.code);
        assert_eq!(code("twin"), Err("bad-request"));
        assert_eq!(code("etcd-9"), Err("not-found"));
        assert_eq!(find(&[info(1, "")], "").map_err(|refusal| refusal.code), Err("not-found"));
    }
}
