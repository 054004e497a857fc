//! The calls this member serves: the table from path to method that the dispatch, the metrics and
//! the answers to unknown calls share.

/// How messages flow in a call; the label `grpc_type` of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One request, one answer.
    Unary,
    /// One request, a stream of answers.
    ServerStream,
    /// Streams both ways.
    BidiStream,
}

impl Kind {
    /// As the metrics spell it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

macro_rules! methods {
    ($($name:ident: $kind:ident $service:literal / $method:literal;)*) => {
        /// A call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Method {
            $(#[doc = concat!("`", $service, "/", $method, "`")] $name,)*
        }

        /// Every method, in the order of the enum.
        pub const ALL: &[Method] = &[$(Method::$name,)*];

        impl Method {
            /// The method a request path names.
            pub fn from_path(path: &str) -> Option<Self> {
                match path {
                    $(concat!("/", $service, "/", $method) => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Fully qualified name of the service.
            pub fn service(self) -> &'static str {
                match self { $(Self::$name => $service,)* }
            }

            /// Name within the service.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $method,)* }
            }

            /// How messages flow.
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

methods! {
    Range: Unary "etcdserverpb.KV" / "Range";
    Put: Unary "etcdserverpb.KV" / "Put";
    Txn: Unary "etcdserverpb.KV" / "Txn";
    DeleteRange: Unary "etcdserverpb.KV" / "DeleteRange";
    Compact: Unary "etcdserverpb.KV" / "Compact";
    RangeStream: ServerStream "etcdserverpb.KV" / "RangeStream";
    Watch: BidiStream "etcdserverpb.Watch" / "Watch";
    LeaseGrant: Unary "etcdserverpb.Lease" / "LeaseGrant";
    LeaseRevoke: Unary "etcdserverpb.Lease" / "LeaseRevoke";
    LeaseKeepAlive: BidiStream "etcdserverpb.Lease" / "LeaseKeepAlive";
    LeaseTimeToLive: Unary "etcdserverpb.Lease" / "LeaseTimeToLive";
    LeaseLeases: Unary "etcdserverpb.Lease" / "LeaseLeases";
    MemberAdd: Unary "etcdserverpb.Cluster" / "MemberAdd";
    MemberRemove: Unary "etcdserverpb.Cluster" / "MemberRemove";
    MemberUpdate: Unary "etcdserverpb.Cluster" / "MemberUpdate";
    MemberList: Unary "etcdserverpb.Cluster" / "MemberList";
    MemberPromote: Unary "etcdserverpb.Cluster" / "MemberPromote";
    Alarm: Unary "etcdserverpb.Maintenance" / "Alarm";
    Status: Unary "etcdserverpb.Maintenance" / "Status";
    Defragment: Unary "etcdserverpb.Maintenance" / "Defragment";
    Hash: Unary "etcdserverpb.Maintenance" / "Hash";
    HashKv: Unary "etcdserverpb.Maintenance" / "HashKV";
    MoveLeader: Unary "etcdserverpb.Maintenance" / "MoveLeader";
    HealthCheck: Unary "grpc.health.v1.Health" / "Check";
    HealthWatch: ServerStream "grpc.health.v1.Health" / "Watch";
}

impl Method {
    /// Whether a learner may answer it: what is local by nature, and reads, which then check that
    /// they are serializable (etcd-surface 1.13).
    pub fn served_by_learner(self) -> bool {
        matches!(
            self,
            Self::Range
                | Self::RangeStream
                | Self::Watch
                | Self::Status
                | Self::Alarm
                | Self::MemberList
        ) || matches!(self, Self::Hash | Self::HashKv | Self::Defragment)
    }
}

/// What grpc-go answers for a path that is no method of ours.
pub fn unknown_text(path: &str) -> String {
    match path.trim_start_matches('/').rsplit_once('/') {
        None => format!("malformed method name: {path:?}"),
        Some((service, method)) if ALL.iter().any(|known| known.service() == service) => {
            format!("unknown method {method} for service {service}")
        }
        Some((service, _)) => format!("unknown service {service}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_path() {
        for (index, method) in ALL.iter().enumerate() {
            let path = format!("/{}/{}", method.service(), method.name());
            assert_eq!(Method::from_path(&path), Some(*method));
            assert_eq!(*method as usize, index);
        }
    }

    #[test]
    fn unknown_calls_are_named() {
        assert_eq!(unknown_text("/a.B/C"), "unknown service a.B");
        assert_eq!(
            unknown_text("/etcdserverpb.Maintenance/Snapshot"),
            "unknown method Snapshot for service etcdserverpb.Maintenance"
        );
        assert_eq!(unknown_text("/x"), "malformed method name: \"/x\"");
    }
}
