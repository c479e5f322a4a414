//! Rows below runs, as a claim reads them.

use std::collections::HashMap;

use tombolo_core::id::RunId;

use super::error::Fault;

/// Rows by run. What cannot be read fails its run only.
pub(super) type Below<T> = HashMap<RunId, Part<T>>;

/// The rows of one run.
pub(super) struct Part<T> {
    /// Those that can be read.
    pub(super) rows: Vec<T>,
    /// The first that cannot.
    pub(super) fault: Option<Fault>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), fault: None }
    }
}

impl<T> Part<T> {
    /// Takes in a row.
    pub(super) fn add(&mut self, row: Result<T, Fault>) {
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
        let fault = |text: &str| Err(Fault::from(Damaged(text.to_owned())));
        let mut part = Part::default();
        for row in [Ok(1), fault("first"), Ok(2), fault("second")] {
            part.add(row);
        }
        assert_eq!(part.rows, [1, 2]);
        assert!(format!("{:?}", part.fault).contains("first"), "{:?}", part.fault);
    }
}
