//! Which names there are, twice: as flushed with their folders, and as everybody sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use super::survival::Survival;

/// A file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub u64);

/// The folder that everything is in; the kernel's number for it.
pub(super) const ROOT: NodeId = NodeId(1);

/// The names of a folder.
pub(super) type Folder = BTreeMap<OsString, NodeId>;

/// A change of names: each is there whole after a cut, or not at all.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    /// A name is made.
    Put { folder: NodeId, name: OsString, node: NodeId },
    /// A name goes.
    Remove { folder: NodeId, name: OsString },
    /// A name goes, another is made or has another meaning.
    Move { from: NodeId, name: OsString, to: NodeId, new_name: OsString, node: NodeId },
}

impl NameChange {
    fn touches(&self, which: NodeId) -> bool {
        match self {
            Self::Put { folder, .. } | Self::Remove { folder, .. } => *folder == which,
            Self::Move { from, to, .. } => *from == which || *to == which,
        }
    }

    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Put { node, .. } | Self::Move { node, .. } => Some(*node),
            Self::Remove { .. } => None,
        }
    }
}

type Tree = BTreeMap<NodeId, Folder>;

fn apply(tree: &mut Tree, change: &NameChange) {
    match change {
        NameChange::Put { folder, name, node } => {
            tree.entry(*folder).or_default().insert(name.clone(), *node);
        }
        NameChange::Remove { folder, name } => {
            tree.entry(*folder).or_default().remove(name);
        }
        NameChange::Move { from, name, to, new_name, node } => {
            tree.entry(*from).or_default().remove(name);
            tree.entry(*to).or_default().insert(new_name.clone(), *node);
        }
    }
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    flushed: Tree,
    cached: Tree,
    pending: Vec<NameChange>,
}

impl Names {
    /// What a name means.
    pub fn get(&self, folder: NodeId, name: &OsStr) -> Option<NodeId> {
        self.cached.get(&folder)?.get(name).copied()
    }

    /// The names of a folder.
    pub fn list(&self, folder: NodeId) -> impl Iterator<Item = (&OsString, NodeId)> {
        self.cached.get(&folder).into_iter().flatten().map(|(name, node)| (name, *node))
    }

    pub fn change(&mut self, change: NameChange) {
        apply(&mut self.cached, &change);
        self.pending.push(change);
    }

    /// Makes the names of a folder durable.
    pub fn flush(&mut self, folder: NodeId) {
        let (now, later) =
            std::mem::take(&mut self.pending).into_iter().partition(|one| one.touches(folder));
        self.pending = later;
        let now: Vec<NameChange> = now;
        now.iter().for_each(|change| apply(&mut self.flushed, change));
    }

    /// Makes all names durable.
    pub fn flush_all(&mut self) {
        self.flushed.clone_from(&self.cached);
        self.pending.clear();
    }

    /// The names that a power cut leaves.
    pub fn after_cut(&self, survival: &mut Survival) -> Self {
        let mut tree = self.flushed.clone();
        for (change, survives) in self.pending.iter().zip(survival.names(self.pending.len())) {
            if survives {
                apply(&mut tree, change);
            }
        }
        Self { cached: tree.clone(), flushed: tree, pending: Vec::new() }
    }

    /// All that have a name, or may have one after a cut.
    pub fn named(&self) -> BTreeSet<NodeId> {
        let trees = [&self.flushed, &self.cached];
        let named = trees.into_iter().flat_map(BTreeMap::values).flat_map(BTreeMap::values);
        let pending = self.pending.iter().filter_map(NameChange::node);
        named.copied().chain(pending).chain([ROOT]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Leaves;

    const A: NodeId = NodeId(2);

    fn put(folder: NodeId, name: &str, node: NodeId) -> NameChange {
        NameChange::Put { folder, name: name.into(), node }
    }

    fn left(names: &Names, name: &str) -> Option<NodeId> {
        let left = names.after_cut(&mut Survival::new(Leaves::Flushed));
        left.get(ROOT, OsStr::new(name))
    }

    #[test]
    fn a_name_is_kept_once_its_folder_is_flushed() {
        let mut names = Names::default();
        names.change(put(ROOT, "a", A));
        names.change(put(NodeId(9), "elsewhere", A));
        assert_eq!((names.get(ROOT, OsStr::new("a")), left(&names, "a")), (Some(A), None));
        names.flush(NodeId(9));
        assert_eq!(left(&names, "a"), None);
        names.flush(ROOT);
        assert_eq!(left(&names, "a"), Some(A));
        names.change(NameChange::Remove { folder: ROOT, name: "a".into() });
        assert_eq!((names.get(ROOT, OsStr::new("a")), left(&names, "a")), (None, Some(A)));
    }

    #[test]
    fn a_rename_survives_whole_or_not_at_all() {
        let mut names = Names::default();
        names.change(put(ROOT, "old", A));
        names.flush_all();
        let (name, new_name) = ("old".into(), "new".into());
        names.change(NameChange::Move { from: ROOT, name, to: ROOT, new_name, node: A });
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let left = names.after_cut(&mut Survival::new(Leaves::Any { seed }));
            let found: Vec<_> = left.list(ROOT).map(|(name, _)| name.clone()).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            seen.extend(found);
        }
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
}
