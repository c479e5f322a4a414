//! The bytes of one file, twice: as flushed, and as whoever uses it sees them.

use super::survival::{Change, Survival, apply_all};

/// The bytes of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    flushed: Vec<u8>,
    cached: Vec<u8>,
    /// What leads from `flushed` to `cached`, in order; less after a flush that failed.
    pending: Vec<Change>,
}

impl File {
    /// A file that is flushed.
    pub fn flushed(bytes: Vec<u8>) -> Self {
        Self { cached: bytes.clone(), flushed: bytes, pending: Vec::new() }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    /// At most so many bytes from a place on.
    pub fn read(&self, at: u64, bytes: usize) -> &[u8] {
        let start = (at as usize).min(self.cached.len());
        &self.cached[start..start.saturating_add(bytes).min(self.cached.len())]
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.change(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub fn resize(&mut self, to: u64) {
        self.change(Change::Resize { from: self.len(), to });
    }

    fn change(&mut self, change: Change) {
        apply_all(&mut self.cached, std::slice::from_ref(&change));
        self.pending.push(change);
    }

    /// Makes it durable.
    pub fn flush(&mut self) {
        apply_all(&mut self.flushed, &self.pending);
        self.pending.clear();
    }

    /// A flush that fails, as Linux has it: the pages count as clean from now on, so that no later
    /// flush writes them, though some may have reached the disk.
    pub fn flush_badly(&mut self, survival: &mut Survival) {
        survival.apply(&mut self.flushed, &self.pending);
        self.pending.clear();
    }

    /// What a power cut leaves of it.
    pub fn after_cut(&self, survival: &mut Survival) -> Self {
        let mut bytes = self.flushed.clone();
        survival.apply(&mut bytes, &self.pending);
        Self::flushed(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Leaves;

    fn left(file: &File) -> Vec<u8> {
        file.after_cut(&mut Survival::new(Leaves::Flushed)).cached
    }

    #[test]
    fn a_write_is_seen_at_once_and_kept_once_it_is_flushed() {
        let mut file = File::default();
        file.write(2, b"ab");
        assert_eq!(file.read(0, 10), b"\0\0ab");
        assert_eq!(left(&file), b"");
        file.flush();
        file.resize(3);
        assert_eq!((file.read(0, 10), left(&file)), (&b"\0\0a"[..], b"\0\0ab".to_vec()));
    }

    #[test]
    fn what_a_failed_flush_dropped_no_later_one_keeps() {
        let mut file = File::flushed(b"....".to_vec());
        file.write(0, b"ab");
        file.flush_badly(&mut Survival::new(Leaves::Flushed));
        file.write(3, b"c");
        file.flush();
        assert_eq!(file.read(0, 4), b"ab.c");
        assert_eq!(left(&file), b"...c");
    }
}
