//! How clusters and members get their ids (etcd's rules for founders, etcd-surface 1.13).

use rand::Rng;
use sha1::{Digest, Sha1};
use store::MemberId;

/// The id of a founding member: the first eight bytes of the SHA-1 over its sorted peer URLs and
/// the cluster token. Every founder computes the same ids.
pub fn founder_id(peer_urls: &[String], token: &str) -> MemberId {
    MemberId(first_eight(|hash| {
        sorted(peer_urls).iter().for_each(|url| hash.update(url));
        hash.update(token);
    }))
}

/// The id of a member that is added later. It has a random part, so that an id is never used
/// twice, even for the same URLs.
pub fn joiner_id(peer_urls: &[String], cluster: u64) -> MemberId {
    let random: [u8; 16] = rand::rng().random();
    MemberId(first_eight(|hash| {
        sorted(peer_urls).iter().for_each(|url| hash.update(url));
        hash.update(cluster.to_be_bytes());
        hash.update(random);
    }))
}

/// The id of a cluster: the first eight bytes of the SHA-1 over its founders' sorted ids.
pub fn cluster_id(founders: &[MemberId]) -> u64 {
    let mut ids: Vec<u64> = founders.iter().map(|member| member.0).collect();
    ids.sort_unstable();
    first_eight(|hash| ids.iter().for_each(|id| hash.update(id.to_be_bytes())))
}

fn sorted(urls: &[String]) -> Vec<String> {
    let mut urls = urls.to_vec();
    urls.sort_unstable();
    urls
}

fn first_eight(feed: impl FnOnce(&mut Sha1)) -> u64 {
    let mut hash = Sha1::new();
    feed(&mut hash);
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("SHA-1 has twenty bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn founders_get_the_ids_etcd_gives_them() {
        // What etcd logs for its defaults: member 8e9e05c52164694d of cluster cdf818194e3a8c32.
        let member = founder_id(&["http://localhost:2380".to_owned()], "etcd-cluster");
        assert_eq!(member.to_string(), "8e9e05c52164694d");
        assert_eq!(format!("{:x}", cluster_id(&[member])), "cdf818194e3a8c32");
    }

    #[test]
    fn a_later_member_never_gets_the_same_id_twice() {
        let urls = ["http://10.0.0.1:2380".to_owned()];
        assert_ne!(joiner_id(&urls, 1), joiner_id(&urls, 1));
    }
}
