//! Rows below runs, as a claim reads them: each begins with the run's id.

use std::collections::HashMap;

use tombolo_core::id::RunId;

use super::{Columns, ReadFault};

/// Rows by run. What cannot be read fails its run only.
pub(crate) type Below<T> = HashMap<RunId, Part<T>>;

/// The rows of one run.
pub(crate) struct Part<T> {
    /// Those that can be read.
    pub(super) rows: Vec<T>,
    /// The first that cannot.
    pub(super) fault: Option<ReadFault>,
}

/// Reads all of them.
pub(crate) fn below<R: Columns, T>(
    rows: &[R],
    read: impl Fn(&R) -> Result<T, ReadFault>,
) -> Result<Below<T>, ReadFault> {
    let mut below = Below::new();
    for row in rows {
        below.entry(RunId(row.id(0)?)).or_default().add(read(row));
    }
    Ok(below)
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), fault: None }
    }
}

impl<T> Part<T> {
    /// Takes in a row.
    fn add(&mut self, row: Result<T, ReadFault>) {
        match row {
            Ok(row) => self.rows.push(row),
            Err(fault) => drop(self.fault.get_or_insert(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Damaged;

    #[test]
    fn what_can_be_read_is_kept_beside_the_first_fault() {
        let fault = |text: &str| Err(ReadFault::from(Damaged(text.to_owned())));
        let mut part = Part::default();
        for row in [Ok(1), fault("first"), Ok(2), fault("second")] {
            part.add(row);
        }
        assert_eq!(part.rows, [1, 2]);
        assert!(format!("{:?}", part.fault).contains("first"), "{:?}", part.fault);
    }
}
