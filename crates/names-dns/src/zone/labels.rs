//! Which node has a label below which other node: a hash table over all of a
//! zone's nodes, of about seven octets each.
//!
//! Names are looked up label by label from the zone's top down. So each node
//! stores its own label only, an empty non-terminal is found as any other node,
//! and cuts and aliases are met on the way.

use std::hash::{BuildHasher, Hasher, RandomState};

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Open addressing with an octet of hash beside each slot, so that a wrong
/// node is seldom looked at.
pub(super) struct LabelTable {
    tags: Vec<u8>,
    slots: Vec<u32>,
    len: usize,
    /// Secret, so that nobody who may add names to a zone can choose them to collide.
    seed: u64,
}

impl LabelTable {
    /// A table with room for `nodes` at three quarters full.
    pub(super) fn with_capacity(nodes: usize) -> Self {
        let slots = nodes / 3 * 4 + 8;
        Self {
            tags: vec![0; slots],
            slots: vec![NONE; slots],
            len: 0,
            seed: RandomState::new().build_hasher().finish(),
        }
    }

    /// The hash of a label, in any case, below a node.
    pub(super) fn hash(&self, parent: u32, label: &[u8]) -> u64 {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hash = self.seed ^ u64::from(parent).wrapping_mul(MIX);
        let (words, rest) = label.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ lower(u64::from_le_bytes(*word)), MIX);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // A label has at most 63 octets, so that its length fits above seven of them.
        let length = (label.len() as u64) << 56;
        fold(
            hash ^ lower(u64::from_le_bytes(last)) ^ length,
            MIX ^ self.seed,
        )
    }

    /// The node with this hash that `is_it` agrees to.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mut at = self.start(hash);
        loop {
            if self.tags[at] == 0 {
                return None;
            }
            if self.tags[at] == tag && is_it(self.slots[at]) {
                return Some(self.slots[at]);
            }
            at += 1;
            if at == self.tags.len() {
                at = 0;
            }
        }
    }

    /// Adds a node that is not in the table; `hash_of` gives those of the nodes that are, should
    /// it have to grow.
    pub(super) fn insert(&mut self, hash: u64, node: u32, hash_of: impl Fn(&Self, u32) -> u64) {
        if (self.len + 1) * 4 > self.tags.len() * 3 {
            let mut larger = Self {
                seed: self.seed,
                ..Self::with_capacity(self.tags.len() * 3 / 2)
            };
            for (&tag, &node) in self.tags.iter().zip(&self.slots) {
                if tag != 0 {
                    larger.put(hash_of(self, node), node);
                }
            }
            *self = larger;
        }
        self.put(hash, node);
    }

    fn put(&mut self, hash: u64, node: u32) {
        let mut at = self.start(hash);
        while self.tags[at] != 0 {
            at += 1;
            if at == self.tags.len() {
                at = 0;
            }
        }
        self.tags[at] = tag(hash);
        self.slots[at] = node;
        self.len += 1;
    }

    fn start(&self, hash: u64) -> usize {
        let slots = self.tags.len() as u64;
        // Below the number of slots.
        (((hash & 0xFFFF_FFFF) * slots) >> 32) as usize
    }

    /// The octets of memory that the table takes.
    pub(super) fn memory(&self) -> usize {
        self.tags.capacity() + self.slots.capacity() * size_of::<u32>()
    }
}

/// Never 0, which marks an empty slot.
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 1
}

/// The two halves of the product of both.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

/// Eight octets in lower case.
fn lower(octets: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let heptets = octets & (0x7F * ONES);
    let above_z = heptets + (0x7F - b'Z' as u64) * ONES;
    let from_a = heptets + (0x80 - b'A' as u64) * ONES;
    let upper = !octets & (from_a ^ above_z) & (0x80 * ONES);
    octets | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_is_ascii_s() {
        for octet in 0..=255_u8 {
            let word = u64::from_le_bytes([octet; 8]);
            assert_eq!(
                lower(word),
                u64::from_le_bytes([octet.to_ascii_lowercase(); 8])
            );
        }
    }

    #[test]
    fn a_table_finds_what_it_has_and_nothing_else() {
        let labels: Vec<String> = (0..10_000).map(|i| format!("Label-{i}")).collect();
        let mut table = LabelTable::with_capacity(0);
        for (node, label) in (0..).zip(&labels) {
            let hash = table.hash(7, label.as_bytes());
            table.insert(hash, node, |table, node| {
                table.hash(7, labels[node as usize].as_bytes())
            });
        }
        for (node, label) in (0..).zip(&labels) {
            let hash = table.hash(7, label.to_uppercase().as_bytes());
            assert_eq!(table.find(hash, |found| found == node), Some(node));
            assert_eq!(table.find(hash, |_| false), None);
        }
        // Another parent, another hash.
        assert_ne!(table.hash(7, b"a"), table.hash(8, b"a"));
        assert_ne!(table.hash(7, b"a"), table.hash(7, b"a\0"));
    }
}
