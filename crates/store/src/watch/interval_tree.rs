//! A set of key ranges that answers "which of them contain this key" in O(log n + hits).
//!
//! A treap in an arena: ordered by (start, end) like a search tree, by priority like a heap, and
//! every node knows the furthest end below it. Ranges that are equal share a node. A treap was
//! preferred over a red-black tree because deleting is a merge and nothing else. Priorities come
//! from a counter through a mixing function: the shape is deterministic, and no key a client
//! chooses can unbalance it.

use bytes::Bytes;

use super::span::End;

/// Position of a node in the arena.
type Link = Option<u32>;

#[derive(Debug)]
struct Node {
    start: Bytes,
    end: End,
    /// The furthest end in the subtree.
    furthest: End,
    priority: u64,
    left: Link,
    right: Link,
    watchers: Vec<u32>,
}

/// The ranges and, for each, the watchers that asked for it.
#[derive(Debug, Default)]
pub(super) struct IntervalTree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: Link,
    inserted_total: u64,
}

impl IntervalTree {
    /// Adds a watcher for a range.
    pub(super) fn insert(&mut self, start: &Bytes, end: &End, watcher: u32) {
        if let Some(index) = self.find(start, end) {
            self.nodes[index as usize].watchers.push(watcher);
            return;
        }
        let new = self.allocate(start.clone(), end.clone(), watcher);
        let (left, right) = self.split(self.root, start, end);
        let left = self.merge(left, Some(new));
        self.root = self.merge(left, right);
    }

    /// Takes a watcher out; it must have been inserted for exactly this range.
    pub(super) fn remove(&mut self, start: &Bytes, end: &End, watcher: u32) {
        let index = self.find(start, end).expect("removed for the range it was inserted for");
        let watchers = &mut self.nodes[index as usize].watchers;
        let at = watchers.iter().position(|&w| w == watcher).expect("inserted once, removed once");
        watchers.swap_remove(at);
        if watchers.is_empty() {
            self.root = self.remove_node(self.root, start, end);
            self.free.push(index);
        }
    }

    /// Appends the watchers whose range contains `key`.
    pub(super) fn containing(&self, key: &[u8], found: &mut Vec<u32>) {
        self.visit(self.root, key, found);
    }

    fn visit(&self, link: Link, key: &[u8], found: &mut Vec<u32>) {
        let Some(node) = self.node(link) else { return };
        if !node.furthest.is_after(key) {
            return;
        }
        self.visit(node.left, key, found);
        if &node.start[..] <= key {
            if node.end.is_after(key) {
                found.extend_from_slice(&node.watchers);
            }
            self.visit(node.right, key, found);
        }
    }

    fn node(&self, link: Link) -> Option<&Node> {
        link.map(|index| &self.nodes[index as usize])
    }

    fn find(&self, start: &Bytes, end: &End) -> Link {
        let mut at = self.root;
        while let Some(index) = at {
            let node = &self.nodes[index as usize];
            at = match (start, end).cmp(&(&node.start, &node.end)) {
                std::cmp::Ordering::Less => node.left,
                std::cmp::Ordering::Greater => node.right,
                std::cmp::Ordering::Equal => return Some(index),
            };
        }
        None
    }

    fn allocate(&mut self, start: Bytes, end: End, watcher: u32) -> u32 {
        self.inserted_total += 1;
        let node = Node {
            start,
            furthest: end.clone(),
            end,
            priority: mix(self.inserted_total),
            left: None,
            right: None,
            watchers: vec![watcher],
        };
        if let Some(index) = self.free.pop() {
            self.nodes[index as usize] = node;
            return index;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer nodes than watchers, which are u32")
    }

    /// Recomputes what a node knows of its subtree after a child changed.
    fn refresh(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let below = [node.left, node.right].map(|link| self.node(link).map(|n| &n.furthest));
        let furthest = below.into_iter().flatten().fold(&node.end, |a, b| a.max(b)).clone();
        self.nodes[index as usize].furthest = furthest;
    }

    /// Parts the subtree into what sorts before the range and what sorts after it.
    fn split(&mut self, link: Link, start: &Bytes, end: &End) -> (Link, Link) {
        let Some(index) = link else { return (None, None) };
        let node = &self.nodes[index as usize];
        if (&node.start, &node.end) < (start, end) {
            let (left, right) = self.split(node.right, start, end);
            self.nodes[index as usize].right = left;
            self.refresh(index);
            (Some(index), right)
        } else {
            let (left, right) = self.split(node.left, start, end);
            self.nodes[index as usize].left = right;
            self.refresh(index);
            (left, Some(index))
        }
    }

    /// Joins two subtrees, everything in the first sorting before everything in the second.
    fn merge(&mut self, left: Link, right: Link) -> Link {
        let (Some(l), Some(r)) = (left, right) else { return left.or(right) };
        if self.nodes[l as usize].priority > self.nodes[r as usize].priority {
            let inner = self.nodes[l as usize].right;
            self.nodes[l as usize].right = self.merge(inner, right);
            self.refresh(l);
            left
        } else {
            let inner = self.nodes[r as usize].left;
            self.nodes[r as usize].left = self.merge(left, inner);
            self.refresh(r);
            right
        }
    }

    fn remove_node(&mut self, link: Link, start: &Bytes, end: &End) -> Link {
        let index = link.expect("the node was found before");
        let node = &self.nodes[index as usize];
        match (start, end).cmp(&(&node.start, &node.end)) {
            std::cmp::Ordering::Equal => return self.merge(node.left, node.right),
            std::cmp::Ordering::Less => {
                let left = self.remove_node(node.left, start, end);
                self.nodes[index as usize].left = left;
            }
            std::cmp::Ordering::Greater => {
                let right = self.remove_node(node.right, start, end);
                self.nodes[index as usize].right = right;
            }
        }
        self.refresh(index);
        link
    }
}

/// Spreads consecutive numbers evenly over 64 bits (the finaliser of SplitMix64, Steele et al.
/// 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry = (u8, Option<u8>, u32);

    fn range(start: u8, end: Option<u8>) -> (Bytes, End) {
        let end = end.map_or(End::Unbounded, |e| End::Before(Bytes::copy_from_slice(&[e])));
        (Bytes::copy_from_slice(&[start]), end)
    }

    fn naive(entries: &[Entry], key: u8) -> Vec<u32> {
        let mut found: Vec<u32> = entries
            .iter()
            .filter(|(start, end, _)| *start <= key && end.is_none_or(|e| key < e))
            .map(|(_, _, watcher)| *watcher)
            .collect();
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_list_would_find(
            steps in proptest::collection::vec((any::<bool>(), 0u8..30, 0u8..40), 1..200),
        ) {
            let mut tree = IntervalTree::default();
            let mut entries: Vec<Entry> = Vec::new();
            for (number, (add, start, end)) in steps.into_iter().enumerate() {
                if add || entries.is_empty() {
                    let end = (end < 35).then_some(end);
                    let (from, to) = range(start, end);
                    tree.insert(&from, &to, number as u32);
                    entries.push((start, end, number as u32));
                } else {
                    let (start, end, watcher) = entries.swap_remove(usize::from(end) % entries.len());
                    let (from, to) = range(start, end);
                    tree.remove(&from, &to, watcher);
                }
            }
            for key in 0..41 {
                let mut found = Vec::new();
                tree.containing(&[key], &mut found);
                found.sort_unstable();
                prop_assert_eq!(found, naive(&entries, key));
            }
        }
    }

    #[test]
    fn ascending_ranges_do_not_make_a_list_of_the_tree() {
        let mut tree = IntervalTree::default();
        for n in 0..10_000u32 {
            let start = Bytes::copy_from_slice(&n.to_be_bytes());
            let end = End::Before(Bytes::copy_from_slice(&(n + 1).to_be_bytes()));
            tree.insert(&start, &end, n);
        }
        assert!(depth(&tree, tree.root) < 60);
    }

    fn depth(tree: &IntervalTree, link: Link) -> usize {
        tree.node(link).map_or(0, |n| 1 + depth(tree, n.left).max(depth(tree, n.right)))
    }
}
