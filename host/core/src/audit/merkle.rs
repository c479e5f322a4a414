//! The Merkle tree of RFC 9162, section 2.1, as far as roots need it: what it keeps grows with the
//! logarithm of the entries.

use super::AuditHash;

/// A tree that leaves are added to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the full trees that it is made of, the largest first: one for every bit of the size.
    full: Vec<AuditHash>,
}

impl Tree {
    /// Adds a leaf.
    pub fn push(&mut self, leaf: AuditHash) {
        let mut node = leaf;
        // As many full trees of one size are joined as the size ends in ones.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.full.pop() {
                node = AuditHash::of_node(left, node);
            }
        }
        self.full.push(node);
        self.size += 1;
    }

    /// Leaves in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash over all leaves (RFC 9162, section 2.1.1: the largest power of two is split off).
    pub fn root(&self) -> AuditHash {
        let joined =
            self.full.iter().rev().copied().reduce(|right, left| AuditHash::of_node(left, right));
        joined.unwrap_or_else(AuditHash::of_nothing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Leaves and roots of the reference implementation of Certificate Transparency
    /// (`merkletree/merkle_tree_test.cc`), the vectors that implementations of RFC 6962 and 9162
    /// share.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn roots_are_those_of_the_reference() {
        let mut tree = Tree::default();
        assert_eq!(tree.root().to_string(), EMPTY);
        for (leaf, root) in LEAVES.iter().zip(ROOTS) {
            tree.push(AuditHash::of_leaf(&hex::decode(leaf).unwrap()));
            assert_eq!(tree.root().to_string(), root, "{} leaves", tree.size());
        }
    }

    /// The definition, word for word.
    fn root_of(leaves: &[AuditHash]) -> AuditHash {
        match leaves {
            [] => AuditHash::of_nothing(),
            [leaf] => *leaf,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                AuditHash::of_node(root_of(left), root_of(right))
            }
        }
    }

    proptest! {
        #[test]
        fn roots_are_those_of_the_definition(count in 0_u32..600) {
            let leaves: Vec<_> = (0..count).map(|n| AuditHash::of_leaf(&n.to_be_bytes())).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            prop_assert_eq!(tree.root(), root_of(&leaves));
            prop_assert_eq!(tree.size(), u64::from(count));
        }
    }
}
