//! What the kernel asks, passed on to the machine. The kernel may keep what it has read: nobody else
//! changes the disk. What a program writes comes here at once, and what is flushed is known to be.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::image::{BLOCK_BYTES, Owner};
use super::machine::{Machine, Writer};
use super::names::NodeId;

/// How long the kernel may keep what it was told.
const KEEP: Duration = Duration::from_secs(3600);

/// Numbers are never used again, so that one generation is enough.
const GENERATION: Generation = Generation(0);

/// No handle has a state of its own.
const HANDLE: FileHandle = FileHandle(0);

/// Longest name, in bytes.
const NAME_BYTES: u32 = 255;

/// A machine that can be reached from two sides.
pub(super) type Shared = Arc<Mutex<Machine>>;

/// The machine of a mount.
pub(super) fn lock(machine: &Shared) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One mount.
pub(super) struct Mounted(pub Shared);

impl Mounted {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.0)
    }
}

fn node(id: INodeNo) -> NodeId {
    NodeId(id.0)
}

fn owner(request: &Request, mode: u32, umask: u32) -> Owner {
    Owner { mode: (mode & !umask & 0o7777) as u16, uid: request.uid(), gid: request.gid() }
}

fn entry(found: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match found {
        Ok(attributes) => reply.entry(&KEEP, &attributes, GENERATION),
        Err(error) => reply.error(error),
    }
}

fn empty(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let machine = self.machine();
        let image = machine.image();
        entry(image.find(node(parent), name).and_then(|id| image.attributes(id)), reply);
    }

    fn getattr(&self, _: &Request, id: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.machine().image().attributes(node(id)) {
            Ok(attributes) => reply.attr(&KEEP, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        id: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (mut machine, id) = (self.machine(), node(id));
        let mut set = || {
            if let Some(size) = size {
                machine.resize(id, size)?;
            }
            if let Some(mode) = mode {
                machine.image_mut().set_mode(id, (mode & 0o7777) as u16)?;
            }
            match mtime {
                Some(TimeOrNow::SpecificTime(at)) => machine.image_mut().set_modified(id, at)?,
                Some(TimeOrNow::Now) => machine.image_mut().set_modified(id, SystemTime::now())?,
                None => {}
            }
            machine.image().attributes(id)
        };
        match set() {
            Ok(attributes) => reply.attr(&KEEP, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let owner = owner(request, mode, umask);
        entry(self.machine().make_folder(node(parent), name, owner), reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.machine().make_file(node(parent), name, owner(request, mode, umask)) {
            Ok(made) => {
                reply.created(&KEEP, &made, GENERATION, HANDLE, FopenFlags::FOPEN_KEEP_CACHE)
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.machine().remove(node(parent), name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.machine().remove(node(parent), name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut machine = self.machine();
        let (old, new) = ((node(parent), name), (node(new_parent), new_name));
        let taken = machine.image().find(new.0, new.1).is_ok();
        if taken && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return reply.error(Errno::EEXIST);
        }
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        empty(machine.rename(old, new), reply);
    }

    fn open(&self, _: &Request, id: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.machine().image_mut().open(node(id)) {
            Ok(()) => reply.opened(HANDLE, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.machine().image_mut().close(node(id));
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.machine().image().read(node(id), offset, size as usize) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mapped = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let writer = if mapped { Writer::Kernel } else { Writer::Program };
        match self.machine().write(writer, node(id), offset, data) {
            Ok(written) => reply.written(written as u32),
            Err(error) => reply.error(error),
        }
    }

    /// Closing a file flushes nothing.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, id: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        empty(self.machine().flush_file(node(id)), reply);
    }

    fn fsyncdir(&self, _: &Request, id: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.machine().flush_folder(node(id)), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let machine = self.machine();
        let own = [".", ".."].map(|name| (node(id), FileType::Directory, OsStr::new(name)));
        let all = own.into_iter().chain(machine.image().list(node(id)));
        for (next, (id, kind, name)) in (1..).zip(all).skip(offset as usize) {
            if reply.add(INodeNo(id.0), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (all, free) = self.machine().space();
        let (all, free, block) = (all / BLOCK_BYTES, free / BLOCK_BYTES, BLOCK_BYTES as u32);
        reply.statfs(all, free, free, u64::MAX, u64::MAX, block, NAME_BYTES, block);
    }
}
