//! The whole disk in memory: files, folders and their names, as flushed and as seen.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use super::file::File;
use super::names::{NameChange, Names, NodeId, ROOT};
use super::survival::{Leaves, Survival};

/// What space is given in.
pub(super) const BLOCK_BYTES: u64 = 4096;

/// Who made something, and with which rights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug)]
enum Kind {
    File(File),
    Folder,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    owner: Owner,
    modified_at: SystemTime,
    links: u32,
    /// How often it is open now.
    opened: u32,
}

impl Node {
    fn new(kind: Kind, owner: Owner) -> Self {
        Self { kind, owner, modified_at: SystemTime::now(), links: 0, opened: 0 }
    }

    /// What it takes of the disk.
    fn blocks(&self) -> u64 {
        match &self.kind {
            Kind::File(file) if self.links > 0 || self.opened > 0 => {
                file.len().div_ceil(BLOCK_BYTES)
            }
            Kind::File(_) | Kind::Folder => 0,
        }
    }
}

/// A disk.
#[derive(Debug)]
pub(super) struct Image {
    nodes: BTreeMap<NodeId, Node>,
    names: Names,
    last: NodeId,
}

type Outcome<T> = Result<T, Errno>;

impl Image {
    /// An empty one.
    pub fn new() -> Self {
        let owner = Owner { mode: 0o755, uid: 0, gid: 0 };
        let root = Node { links: 1, ..Node::new(Kind::Folder, owner) };
        Self { nodes: BTreeMap::from([(ROOT, root)]), names: Names::default(), last: ROOT }
    }

    fn node(&self, id: NodeId) -> Outcome<&Node> {
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    fn node_mut(&mut self, id: NodeId) -> Outcome<&mut Node> {
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)
    }

    fn file(&self, id: NodeId) -> Outcome<&File> {
        match &self.node(id)?.kind {
            Kind::File(file) => Ok(file),
            Kind::Folder => Err(Errno::EISDIR),
        }
    }

    fn file_mut(&mut self, id: NodeId) -> Outcome<&mut File> {
        match &mut self.node_mut(id)?.kind {
            Kind::File(file) => Ok(file),
            Kind::Folder => Err(Errno::EISDIR),
        }
    }

    /// What a name means.
    pub fn find(&self, folder: NodeId, name: &OsStr) -> Outcome<NodeId> {
        self.names.get(folder, name).ok_or(Errno::ENOENT)
    }

    pub fn attributes(&self, id: NodeId) -> Outcome<FileAttr> {
        let node = self.node(id)?;
        let (kind, size) = match &node.kind {
            Kind::File(file) => (FileType::RegularFile, file.len()),
            Kind::Folder => (FileType::Directory, BLOCK_BYTES),
        };
        Ok(FileAttr {
            ino: INodeNo(id.0),
            size,
            blocks: size.div_ceil(BLOCK_BYTES) * (BLOCK_BYTES / 512),
            atime: node.modified_at,
            mtime: node.modified_at,
            ctime: node.modified_at,
            crtime: node.modified_at,
            kind,
            perm: node.owner.mode,
            nlink: node.links,
            uid: node.owner.uid,
            gid: node.owner.gid,
            rdev: 0,
            blksize: BLOCK_BYTES as u32,
            flags: 0,
        })
    }

    /// Names of a folder with what they mean.
    pub fn list(&self, folder: NodeId) -> Vec<(NodeId, FileType, &OsStr)> {
        let kind = |id| match self.node(id).map(|node| &node.kind) {
            Ok(Kind::Folder) => FileType::Directory,
            _ => FileType::RegularFile,
        };
        self.names.list(folder).map(|(name, id)| (id, kind(id), name.as_os_str())).collect()
    }

    pub fn make_file(&mut self, folder: NodeId, name: &OsStr, owner: Owner) -> Outcome<NodeId> {
        self.make(folder, name, Node::new(Kind::File(File::default()), owner))
    }

    pub fn make_folder(&mut self, folder: NodeId, name: &OsStr, owner: Owner) -> Outcome<NodeId> {
        self.make(folder, name, Node::new(Kind::Folder, owner))
    }

    fn make(&mut self, folder: NodeId, name: &OsStr, mut node: Node) -> Outcome<NodeId> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.last = NodeId(self.last.0 + 1);
        node.links = 1;
        self.nodes.insert(self.last, node);
        let (name, node) = (name.to_owned(), self.last);
        self.names.change(NameChange::Put { folder, name, node });
        Ok(node)
    }

    pub fn remove(&mut self, folder: NodeId, name: &OsStr) -> Outcome<()> {
        let id = self.find(folder, name)?;
        if self.names.list(id).next().is_some() {
            return Err(Errno::ENOTEMPTY);
        }
        self.names.change(NameChange::Remove { folder, name: name.to_owned() });
        self.node_mut(id)?.links -= 1;
        Ok(())
    }

    pub fn rename(
        &mut self,
        (from, name): (NodeId, &OsStr),
        (to, new_name): (NodeId, &OsStr),
    ) -> Outcome<()> {
        let node = self.find(from, name)?;
        match self.find(to, new_name) {
            Ok(other) if other == node => return Ok(()),
            Ok(other) if self.names.list(other).next().is_some() => return Err(Errno::ENOTEMPTY),
            Ok(other) => self.node_mut(other)?.links -= 1,
            Err(_) => {}
        }
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.names.change(NameChange::Move { from, name, to, new_name, node });
        Ok(())
    }

    pub fn open(&mut self, id: NodeId) -> Outcome<()> {
        self.node_mut(id)?.opened += 1;
        Ok(())
    }

    pub fn close(&mut self, id: NodeId) {
        if let Ok(node) = self.node_mut(id) {
            node.opened = node.opened.saturating_sub(1);
        }
    }

    pub fn read(&self, id: NodeId, at: u64, bytes: usize) -> Outcome<&[u8]> {
        Ok(self.file(id)?.read(at, bytes))
    }

    pub fn write(&mut self, id: NodeId, at: u64, bytes: &[u8]) -> Outcome<()> {
        self.file_mut(id)?.write(at, bytes);
        self.node_mut(id)?.modified_at = SystemTime::now();
        Ok(())
    }

    pub fn resize(&mut self, id: NodeId, to: u64) -> Outcome<()> {
        self.file_mut(id)?.resize(to);
        self.node_mut(id)?.modified_at = SystemTime::now();
        Ok(())
    }

    /// Rights and times are durable at once: nothing here depends on their loss.
    pub fn set_mode(&mut self, id: NodeId, mode: u16) -> Outcome<()> {
        self.node_mut(id)?.owner.mode = mode;
        Ok(())
    }

    pub fn set_modified(&mut self, id: NodeId, at: SystemTime) -> Outcome<()> {
        self.node_mut(id)?.modified_at = at;
        Ok(())
    }

    pub fn flush_file(&mut self, id: NodeId) -> Outcome<()> {
        self.file_mut(id)?.flush();
        Ok(())
    }

    /// A flush of a file that fails.
    pub fn flush_file_badly(&mut self, id: NodeId, leaves: Leaves) -> Outcome<()> {
        self.file_mut(id)?.flush_badly(&mut Survival::new(leaves));
        Ok(())
    }

    pub fn flush_folder(&mut self, id: NodeId) {
        self.names.flush(id);
        self.forget_unnamed();
    }

    pub fn flush_all(&mut self) {
        self.names.flush_all();
        for node in self.nodes.values_mut() {
            if let Kind::File(file) = &mut node.kind {
                file.flush();
            }
        }
        self.forget_unnamed();
    }

    fn forget_unnamed(&mut self) {
        let named = self.names.named();
        self.nodes.retain(|id, node| node.opened > 0 || named.contains(id));
    }

    /// Bytes that are taken; a file that was removed counts until it is closed.
    pub fn used_bytes(&self) -> u64 {
        self.nodes.values().map(Node::blocks).sum::<u64>() * BLOCK_BYTES
    }

    /// How far a file may reach if so many more bytes may be taken.
    pub fn reach(&self, id: NodeId, free_bytes: u64) -> Outcome<u64> {
        let own = self.file(id)?.len().div_ceil(BLOCK_BYTES);
        Ok((own + free_bytes / BLOCK_BYTES) * BLOCK_BYTES)
    }

    /// The disk as a power cut leaves it.
    pub fn after_cut(&self, leaves: Leaves) -> Self {
        let mut survival = Survival::new(leaves);
        let names = self.names.after_cut(&mut survival);
        let mut image = Self { nodes: BTreeMap::new(), names, last: self.last };
        for (id, node) in &self.nodes {
            let kind = match &node.kind {
                Kind::File(file) => Kind::File(file.after_cut(&mut survival)),
                Kind::Folder => Kind::Folder,
            };
            let (owner, modified_at) = (node.owner, node.modified_at);
            image.nodes.insert(*id, Node { kind, owner, modified_at, links: 1, opened: 0 });
        }
        image.forget_unnamed();
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { mode: 0o600, uid: 0, gid: 0 };

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn after_a_cut_a_file_has_its_flushed_bytes_under_its_flushed_name() {
        let mut image = Image::new();
        let file = image.make_file(ROOT, name("a"), OWNER).unwrap();
        image.write(file, 0, b"kept").unwrap();
        image.flush_file(file).unwrap();
        image.write(file, 0, b"lost").unwrap();
        assert!(image.after_cut(Leaves::Flushed).find(ROOT, name("a")).is_err(), "no name");
        image.flush_folder(ROOT);
        image.remove(ROOT, name("a")).unwrap();
        let left = image.after_cut(Leaves::Flushed);
        let found = left.find(ROOT, name("a")).unwrap();
        assert_eq!(left.read(found, 0, 10).unwrap(), b"kept");
    }

    #[test]
    fn a_removed_file_takes_space_until_it_is_closed() {
        let mut image = Image::new();
        let file = image.make_file(ROOT, name("a"), OWNER).unwrap();
        image.write(file, 0, &[1; 5000]).unwrap();
        image.open(file).unwrap();
        image.remove(ROOT, name("a")).unwrap();
        assert_eq!(image.used_bytes(), 2 * BLOCK_BYTES);
        assert_eq!(image.reach(file, BLOCK_BYTES).unwrap(), 3 * BLOCK_BYTES);
        image.close(file);
        assert_eq!(image.used_bytes(), 0);
    }

    #[test]
    fn a_folder_with_names_in_it_stays() {
        let mut image = Image::new();
        let folder = image.make_folder(ROOT, name("f"), OWNER).unwrap();
        image.make_file(folder, name("a"), OWNER).unwrap();
        assert!(image.make_file(folder, name("a"), OWNER).is_err());
        assert!(image.remove(ROOT, name("f")).is_err());
        image.remove(folder, name("a")).unwrap();
        image.remove(ROOT, name("f")).unwrap();
    }

    #[test]
    fn a_name_that_is_taken_is_replaced_by_a_rename() {
        let mut image = Image::new();
        let new = image.make_file(ROOT, name("new"), OWNER).unwrap();
        image.make_file(ROOT, name("old"), OWNER).unwrap();
        image.rename((ROOT, name("new")), (ROOT, name("old"))).unwrap();
        assert_eq!(image.find(ROOT, name("old")).unwrap(), new);
        assert_eq!(image.list(ROOT).len(), 1);
    }
}
