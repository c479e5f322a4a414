//! Walks along an export, line by line.

use super::{
    CheckpointHistory, ExportLine, Finding, Head, Stored, Summary, Trail, Trouble, Verdict,
};
use crate::id::TenantId;

/// Lines that may be damaged before one says whose record it is.
const MAX_NAMELESS_LINES: usize = 1_000;

/// A walk along one export.
#[derive(Debug)]
pub struct ExportWalk<'a> {
    history: &'a CheckpointHistory,
    /// None until a line says whose record it is.
    trail: Option<(TenantId, Trail)>,
    nameless: Vec<Stored>,
    summary: Option<Summary>,
    entries: u64,
    behind_summary: bool,
}

/// No line of it says whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no export of a record: `tombolo audit export` makes one")]
pub struct NoExport;

impl<'a> ExportWalk<'a> {
    /// Along an export of a record of which that was signed.
    pub fn new(history: &'a CheckpointHistory) -> Self {
        Self {
            history,
            trail: None,
            nameless: Vec::new(),
            summary: None,
            entries: 0,
            behind_summary: false,
        }
    }

    /// Goes on to the next line.
    ///
    /// # Errors
    /// If none so far is of an export.
    pub fn read(&mut self, line: &str) -> Result<(), NoExport> {
        self.behind_summary |= self.summary.is_some();
        match ExportLine::parse(line) {
            ExportLine::Summary(summary) => {
                self.trail_of(summary.tenant);
                self.summary = Some(summary);
            }
            ExportLine::Entry(stored) => {
                self.entries += 1;
                if let Stored::Read(chained) = &stored {
                    self.trail_of(chained.record.tenant);
                }
                match &mut self.trail {
                    Some((_, trail)) => trail.read(stored),
                    None if self.nameless.len() == MAX_NAMELESS_LINES => return Err(NoExport),
                    None => self.nameless.push(stored),
                }
            }
        }
        Ok(())
    }

    /// Whose record it is, by the first line that says so.
    fn trail_of(&mut self, tenant: TenantId) {
        if self.trail.is_none() {
            let others = self.history.tenants().filter(|other| *other != tenant).collect();
            let mut trail = Trail::new(tenant, self.history.of(tenant), others);
            self.nameless.drain(..).for_each(|stored| trail.read(stored));
            self.trail = Some((tenant, trail));
        }
    }

    /// The end of the export.
    ///
    /// # Errors
    /// If no line of it is of an export.
    pub fn end(self) -> Result<Verdict, NoExport> {
        let (tenant, trail) = self.trail.ok_or(NoExport)?;
        let find = |seq, trouble| Finding { tenant, seq, trouble };
        let mut verdict = trail.end(self.summary.as_ref().map(Summary::head));
        let Some(summary) = self.summary.filter(|_| !self.behind_summary) else {
            verdict.findings.push(find(Some(verdict.head.seq + 1), Trouble::NoSummary));
            return Ok(verdict);
        };
        let Head { seq, .. } = summary.head();
        let expected = Summary::of(summary.tenant, summary.head());
        if summary != expected || summary.tenant != tenant || summary.count != self.entries {
            verdict.findings.push(find(Some(seq), Trouble::OtherSummary));
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::testing::{TestKey, chain, tenant};
    use crate::audit::{Chained, Checkpoint, Signs, Tree};
    use crate::clock::Timestamp;

    /// Signed over as many entries as there are.
    fn history(entries: &[Chained]) -> CheckpointHistory {
        let mut tree = Tree::default();
        entries.iter().for_each(|entry| tree.push(entry.hash));
        let key = TestKey::new(1);
        let signed = Checkpoint::of(tenant(1), &tree).sign(&key);
        let mut history = CheckpointHistory::default();
        history.read(&CheckpointHistory::line(&signed, Timestamp(0)), &key.public_key());
        history
    }

    fn lines(entries: &[Chained]) -> Vec<String> {
        let head = entries.last().map_or(Head::EMPTY, Chained::head);
        let summary = Summary::of(tenant(1), head).line();
        entries.iter().map(Chained::line).chain([summary]).collect()
    }

    fn troubles(lines: &[String], history: &CheckpointHistory) -> Vec<(u64, Trouble)> {
        let mut walk = ExportWalk::new(history);
        lines.iter().for_each(|line| walk.read(line).unwrap());
        let place = |finding: Finding| (finding.seq.unwrap(), finding.trouble);
        walk.end().unwrap().findings.into_iter().map(place).collect()
    }

    #[test]
    fn a_whole_export_is_fine_and_an_empty_one_too() {
        let entries = chain(tenant(1), 0, 5);
        assert_eq!(troubles(&lines(&entries), &history(&entries)), []);
        assert_eq!(troubles(&lines(&[]), &CheckpointHistory::default()), []);
    }

    #[test]
    fn an_export_that_was_cut_has_no_summary() {
        let entries = chain(tenant(1), 0, 5);
        let (mut lines, history) = (lines(&entries), history(&entries));
        let summary = lines.pop().unwrap();
        assert_eq!(troubles(&lines, &history), [(6, Trouble::NoSummary)]);
        let behind = [&lines[..4], std::slice::from_ref(&summary), &lines[4..]].concat();
        assert!(troubles(&behind, &history).contains(&(6, Trouble::NoSummary)));
        // A summary of one's own is caught by the checkpoint.
        let shorter = [&lines[..3], &[Summary::of(tenant(1), entries[2].head()).line()]].concat();
        let found = troubles(&shorter, &history);
        assert!(matches!(found[..], [(4, Trouble::CutTail { known: 5, .. })]), "{found:?}");
    }

    #[test]
    fn a_summary_that_lies_is_found() {
        let entries = chain(tenant(1), 0, 5);
        let (mut lines, history) = (lines(&entries), history(&entries));
        let last = lines.pop().unwrap();
        lines.push(last.replace("\"count\":5", "\"count\":4"));
        assert_eq!(troubles(&lines, &history), [(5, Trouble::OtherSummary)]);
    }

    #[test]
    fn a_line_of_another_tenant_and_a_broken_first_line_are_found() {
        let (entries, theirs) = (chain(tenant(1), 0, 5), chain(tenant(2), 9, 5));
        let (mut lines, history) = (lines(&entries), history(&entries));
        lines.insert(2, theirs[2].line());
        lines[0] = lines[0].replacen('{', "{ ", 1);
        let found = troubles(&lines, &history);
        assert!(matches!(found[0], (1, Trouble::Unreadable { .. })), "{found:?}");
        assert_eq!(found[1], (3, Trouble::Foreign { of: tenant(2) }));
    }

    #[test]
    fn what_is_no_export_is_said() {
        let history = CheckpointHistory::default();
        let mut walk = ExportWalk::new(&history);
        let tried = (0..=MAX_NAMELESS_LINES).map(|_| walk.read("Dear diary,")).collect::<Vec<_>>();
        assert_eq!(tried.last(), Some(&Err(NoExport)));
        assert_eq!(ExportWalk::new(&history).end(), Err(NoExport));
    }
}
