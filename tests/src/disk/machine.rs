//! The disk with what is to go wrong with it. Decides for each call whether it is done; what is done
//! is done by the image.

use std::ffi::OsStr;

use fuser::{Errno, FileAttr};

use super::image::{BLOCK_BYTES, Image, Owner};
use super::names::NodeId;
use super::order::{DiskState, Leaves, Spell};

/// The space of a disk without a bound, in bytes.
const PLENTY_BYTES: u64 = 1 << 40;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// A program, which is told if it fails.
    Program,
    /// The kernel, which saves a mapped page; its space is taken already.
    Kernel,
}

/// What is to go wrong.
#[derive(Debug, Default)]
struct Faults {
    cut: Option<(u64, Leaves)>,
    space_bytes: Option<u64>,
    refuse: Option<(u64, Spell)>,
    fail_flush: Option<(u64, Leaves)>,
}

/// A disk at work.
#[derive(Debug)]
pub(super) struct Machine {
    image: Image,
    faults: Faults,
    counts: DiskState,
    /// What the cut left, once there was one.
    left: Option<Image>,
}

type Outcome<T> = Result<T, Errno>;

impl Machine {
    pub fn new(image: Image) -> Self {
        Self { image, faults: Faults::default(), counts: DiskState::default(), left: None }
    }

    /// How it stands.
    pub fn state(&self) -> DiskState {
        let (cut, used_bytes) = (self.left.is_some(), self.image.used_bytes());
        DiskState { cut, used_bytes, ..self.counts }
    }

    /// The disk after the next start: what the cut left, or everything if there was none.
    pub fn take_left(&mut self) -> Image {
        if let Some(left) = self.left.take() {
            return left;
        }
        self.image.flush_all();
        self.image.after_cut(Leaves::Flushed)
    }

    pub fn flush_all(&mut self) {
        self.image.flush_all();
    }

    /// Cuts the power after so many more steps.
    pub fn cut_after(&mut self, steps: u64, leaves: Leaves) {
        self.faults.cut = Some((steps, leaves));
        self.cut_if_due();
    }

    pub fn set_space(&mut self, bytes: Option<u64>) {
        self.faults.space_bytes = bytes;
    }

    pub fn refuse_writes(&mut self, after: u64, spell: Spell) {
        self.faults.refuse = Some((after, spell));
    }

    pub fn fail_flush(&mut self, after: u64, leaves: Leaves) {
        self.faults.fail_flush = Some((after, leaves));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
    }

    fn cut_if_due(&mut self) {
        if let (Some((0, leaves)), None) = (self.faults.cut, &self.left) {
            self.left = Some(self.image.after_cut(leaves));
        }
    }

    /// Before everything that changes the disk: refused once the power is gone.
    fn step(&mut self) -> Outcome<()> {
        self.cut_if_due();
        if self.left.is_some() {
            return Err(Errno::EIO);
        }
        if let Some((steps, _)) = &mut self.faults.cut {
            *steps -= 1;
        }
        self.counts.steps += 1;
        Ok(())
    }

    /// True if this write is one of those to be refused.
    fn is_refused(&mut self) -> bool {
        match &mut self.faults.refuse {
            Some((0, Spell::FromThenOn)) => true,
            Some((0, Spell::Once)) => {
                self.faults.refuse = None;
                true
            }
            Some((after, _)) => {
                *after -= 1;
                false
            }
            None => false,
        }
    }

    /// Bytes of space, and how many of them are free.
    pub fn space(&self) -> (u64, u64) {
        let all = self.faults.space_bytes.unwrap_or(PLENTY_BYTES);
        (all, all.saturating_sub(self.image.used_bytes()))
    }

    fn no_space<T>(&mut self) -> Outcome<T> {
        self.counts.refused += 1;
        Err(Errno::ENOSPC)
    }

    /// Writes what there is room for, and says how many bytes that was.
    pub fn write(&mut self, writer: Writer, id: NodeId, at: u64, bytes: &[u8]) -> Outcome<usize> {
        if writer == Writer::Kernel {
            // Nobody would be told, and after a cut nobody reads it.
            if self.left.is_none() {
                self.image.write(id, at, bytes)?;
            }
            return Ok(bytes.len());
        }
        self.step()?;
        self.counts.writes += 1;
        if self.is_refused() {
            return self.no_space();
        }
        let reach = self.image.reach(id, self.space().1)?;
        let fits = (reach.saturating_sub(at) as usize).min(bytes.len());
        if fits == 0 && !bytes.is_empty() {
            return self.no_space();
        }
        self.image.write(id, at, &bytes[..fits])?;
        Ok(fits)
    }

    pub fn resize(&mut self, id: NodeId, to: u64) -> Outcome<()> {
        self.step()?;
        if to > self.image.reach(id, self.space().1)? {
            return self.no_space();
        }
        self.image.resize(id, to)
    }

    pub fn flush_file(&mut self, id: NodeId) -> Outcome<()> {
        self.step()?;
        self.counts.file_flushes += 1;
        match self.flush_fails() {
            None => self.image.flush_file(id),
            Some(leaves) => {
                self.image.flush_file_badly(id, leaves)?;
                Err(Errno::EIO)
            }
        }
    }

    pub fn flush_folder(&mut self, id: NodeId) -> Outcome<()> {
        self.step()?;
        self.counts.folder_flushes += 1;
        if self.flush_fails().is_some() {
            return Err(Errno::EIO);
        }
        self.image.flush_folder(id);
        Ok(())
    }

    fn flush_fails(&mut self) -> Option<Leaves> {
        match &mut self.faults.fail_flush {
            Some((0, leaves)) => {
                let leaves = *leaves;
                self.faults.fail_flush = None;
                self.counts.failed_flushes += 1;
                Some(leaves)
            }
            Some((after, _)) => {
                *after -= 1;
                None
            }
            None => None,
        }
    }

    /// A name needs room for its folder to grow.
    fn step_for_name(&mut self) -> Outcome<()> {
        self.step()?;
        if self.space().1 < BLOCK_BYTES { self.no_space() } else { Ok(()) }
    }

    pub fn make_file(&mut self, folder: NodeId, name: &OsStr, owner: Owner) -> Outcome<FileAttr> {
        self.step_for_name()?;
        let id = self.image.make_file(folder, name, owner)?;
        self.image.open(id)?;
        self.image.attributes(id)
    }

    pub fn make_folder(&mut self, folder: NodeId, name: &OsStr, owner: Owner) -> Outcome<FileAttr> {
        self.step_for_name()?;
        let id = self.image.make_folder(folder, name, owner)?;
        self.image.attributes(id)
    }

    pub fn remove(&mut self, folder: NodeId, name: &OsStr) -> Outcome<()> {
        self.step()?;
        self.image.remove(folder, name)
    }

    pub fn rename(&mut self, old: (NodeId, &OsStr), new: (NodeId, &OsStr)) -> Outcome<()> {
        self.step()?;
        self.image.rename(old, new)
    }

    /// What only looks, and what is of no consequence after a cut.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The same, to be changed.
    pub fn image_mut(&mut self) -> &mut Image {
        &mut self.image
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::ROOT;
    use super::*;

    const OWNER: Owner = Owner { mode: 0o600, uid: 0, gid: 0 };

    fn with_file() -> (Machine, NodeId) {
        let mut machine = Machine::new(Image::new());
        let made = machine.make_file(ROOT, OsStr::new("a"), OWNER).unwrap();
        machine.flush_all();
        (machine, NodeId(made.ino.0))
    }

    fn write(machine: &mut Machine, id: NodeId, bytes: &[u8]) -> Outcome<usize> {
        let at = machine.image.attributes(id).unwrap().size;
        machine.write(Writer::Program, id, at, bytes)
    }

    #[test]
    fn after_the_cut_nothing_is_done_and_what_was_flushed_is_left() {
        let (mut machine, file) = with_file();
        machine.cut_after(3, Leaves::Flushed);
        write(&mut machine, file, b"kept").unwrap();
        machine.flush_file(file).unwrap();
        write(&mut machine, file, b"lost").unwrap();
        assert!(!machine.state().cut);
        assert!(machine.flush_file(file).is_err());
        assert!(machine.state().cut && write(&mut machine, file, b"x").is_err());
        assert_eq!(machine.image().read(file, 0, 10).unwrap(), b"keptlost", "reading goes on");
        assert_eq!(machine.take_left().read(file, 0, 10).unwrap(), b"kept");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_more_once_there_is_room() {
        let (mut machine, file) = with_file();
        machine.set_space(Some(2 * BLOCK_BYTES));
        assert_eq!(write(&mut machine, file, &[1; 9000]).unwrap() as u64, 2 * BLOCK_BYTES);
        assert_eq!(write(&mut machine, file, b"x").map_err(i32::from), Err(Errno::ENOSPC.into()));
        assert!(machine.make_file(ROOT, OsStr::new("b"), OWNER).is_err());
        assert_eq!(machine.write(Writer::Program, file, 0, b"over").unwrap(), 4);
        machine.set_space(None);
        assert_eq!(write(&mut machine, file, b"x").unwrap(), 1);
        assert_eq!(machine.state().refused, 2);
    }

    #[test]
    fn writes_are_refused_once_or_from_then_on() {
        let (mut machine, file) = with_file();
        let mut outcomes = |spell| {
            machine.refuse_writes(1, spell);
            let outcomes = [(); 4].map(|()| write(&mut machine, file, b"x").is_ok());
            machine.heal();
            outcomes
        };
        assert_eq!(outcomes(Spell::Once), [true, false, true, true]);
        assert_eq!(outcomes(Spell::FromThenOn), [true, false, false, false]);
        assert!(write(&mut machine, file, b"x").is_ok());
    }

    #[test]
    fn one_flush_fails_and_drops_what_it_was_to_keep() {
        let (mut machine, file) = with_file();
        machine.fail_flush(1, Leaves::Flushed);
        write(&mut machine, file, b"kept").unwrap();
        machine.flush_file(file).unwrap();
        write(&mut machine, file, b"lost").unwrap();
        assert!(machine.flush_file(file).is_err());
        machine.flush_file(file).unwrap();
        machine.cut_after(0, Leaves::Flushed);
        assert_eq!(machine.take_left().read(file, 0, 10).unwrap(), b"kept");
    }
}
