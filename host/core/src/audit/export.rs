//! A record as lines of JSON: each entry as it was hashed, with its hash, and a summary as the last
//! line. Read back with distrust: whoever hands it over may have changed it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canonical::canonical;
use super::record::{Chained, FORMAT, Head, Record, Stored};
use super::{Actor, AuditEntry, AuditHash};
use crate::clock::Timestamp;
use crate::id::TenantId;

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// See [`FORMAT`].
    pub format: u32,
    /// Whose record it is.
    pub tenant: TenantId,
    /// Entries in it.
    pub count: u64,
    /// Number of the first; None if there is none.
    pub first_seq: Option<u64>,
    /// Number of the last.
    pub last_seq: Option<u64>,
    /// Hash of the last; zeros if there is none.
    pub head_hash: AuditHash,
}

/// A line of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportLine {
    /// An entry, if it can be read.
    Entry(Stored),
    /// The summary.
    Summary(Summary),
}

/// An entry as a line has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    format: u32,
    tenant: TenantId,
    seq: u64,
    prev: AuditHash,
    at: Timestamp,
    actor: Actor,
    action: String,
    subject: String,
    detail: Value,
    correlation_id: Option<String>,
    hash: AuditHash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryLine {
    summary: Summary,
}

impl Summary {
    /// Of a record that ends there.
    pub fn of(tenant: TenantId, head: Head) -> Self {
        let last_seq = (head.seq > 0).then_some(head.seq);
        Self {
            format: FORMAT,
            tenant,
            count: head.seq,
            first_seq: last_seq.map(|_| 1),
            last_seq,
            head_hash: head.hash,
        }
    }

    /// The end that it tells of.
    pub fn head(&self) -> Head {
        Head { seq: self.last_seq.unwrap_or(0), hash: self.head_hash }
    }

    /// Its line, without its end.
    pub fn line(&self) -> String {
        text(&json!({ "summary": self }))
    }
}

impl Chained {
    /// Its line, without its end: canonical JSON, the hash beside what was hashed.
    pub fn line(&self) -> String {
        let mut line = self.record.value();
        line["hash"] = json!(self.hash);
        text(&line)
    }
}

impl ExportLine {
    /// Reads a line. What is no entry is a damaged one.
    pub fn parse(line: &str) -> Self {
        let damaged = |why: String| Self::Entry(Stored::Damaged { seq: None, why });
        let value = match crate::json::parse(line.as_bytes()) {
            Ok(value) => value,
            Err(error) => return damaged(error.to_string()),
        };
        if text(&value) != line {
            return damaged("the line is not canonical JSON (RFC 8785)".to_owned());
        }
        if value.get("summary").is_some() {
            return match serde_json::from_value(value) {
                Ok(SummaryLine { summary }) => Self::Summary(summary),
                Err(error) => damaged(error.to_string()),
            };
        }
        let seq = value.get("seq").and_then(Value::as_u64);
        match serde_json::from_value::<EntryLine>(value) {
            Ok(line) if line.format != FORMAT => {
                let why = format!("format {} is not known, only {FORMAT}", line.format);
                Self::Entry(Stored::Damaged { seq, why })
            }
            Ok(line) => Self::Entry(Stored::Read(Box::new(line.into()))),
            Err(error) => Self::Entry(Stored::Damaged { seq, why: error.to_string() }),
        }
    }
}

impl From<EntryLine> for Chained {
    fn from(line: EntryLine) -> Self {
        let entry = AuditEntry {
            at: line.at,
            actor: line.actor,
            action: line.action,
            subject: line.subject,
            detail: line.detail,
            correlation_id: line.correlation_id,
        };
        let record = Record { tenant: line.tenant, seq: line.seq, prev: line.prev, entry };
        Self { record, hash: line.hash }
    }
}

/// What has no canonical form is told by the hash, which it then does not have either.
fn text(value: &Value) -> String {
    canonical(value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::testing::{chain, tenant};

    #[test]
    fn lines_read_back() {
        let entries = chain(tenant(1), 0, 2);
        for entry in &entries {
            let read = ExportLine::parse(&entry.line());
            assert_eq!(read, ExportLine::Entry(Stored::Read(Box::new(entry.clone()))));
        }
        for head in [Head::EMPTY, entries[1].head()] {
            let summary = Summary::of(tenant(1), head);
            assert_eq!(summary.head(), head);
            assert_eq!(ExportLine::parse(&summary.line()), ExportLine::Summary(summary));
        }
    }

    #[test]
    fn what_is_no_line_of_ours_is_damage() {
        let line = chain(tenant(1), 0, 1)[0].line();
        let spaced = line.replacen(':', ": ", 1);
        let twice = line.replacen("\"seq\":1", "\"seq\":1,\"seq\":1", 1);
        let newer = line.replacen("\"format\":1", "\"format\":2", 1);
        let more = line.replacen("\"seq\":1", "\"seq\":1,\"seqq\":1", 1);
        for wrong in ["", "{}", "[]", &line[1..], &spaced, &twice, &newer, &more] {
            let read = ExportLine::parse(wrong);
            assert!(matches!(read, ExportLine::Entry(Stored::Damaged { .. })), "{wrong}: {read:?}");
        }
    }
}
