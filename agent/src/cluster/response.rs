//! Members as they stand on the wire.

use api::etcdserverpb::Member as MemberMessage;
use raft::MemberInfo;

use crate::member::Member;

/// All members, by id.
pub fn members(member: &Member) -> Vec<MemberMessage> {
    let mut members: Vec<_> = member.node.members().into_iter().map(member_message).collect();
    members.sort_by_key(|member| member.id);
    members
}

/// A member that has not started yet has neither name nor client URLs.
pub fn member_message(info: MemberInfo) -> MemberMessage {
    MemberMessage {
        id: info.id.0,
        name: info.name,
        peer_ur_ls: info.peer_urls,
        client_ur_ls: info.client_urls,
        is_learner: info.is_learner,
    }
}
