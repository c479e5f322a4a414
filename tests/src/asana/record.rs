//! The projects and tasks of one account: kept and found. No HTTP here.

use serde_json::{Map, Value};

/// The gid of the first object a call creates.
const FIRST_GID: u64 = 1_210_000_000_000_001;

/// One project or task, as it is shown.
pub(super) type Record = Map<String, Value>;

/// All objects, oldest first.
#[derive(Debug)]
pub(super) struct Records {
    pub projects: Vec<Record>,
    pub tasks: Vec<Record>,
    next_gid: u64,
}

impl Records {
    pub fn empty() -> Self {
        Self { projects: Vec::new(), tasks: Vec::new(), next_gid: FIRST_GID }
    }

    /// A gid nobody has had.
    pub fn new_gid(&mut self) -> String {
        let gid = self.next_gid;
        self.next_gid += 1;
        gid.to_string()
    }

    pub fn project(&self, gid: &str) -> Option<&Record> {
        find(&self.projects, gid)
    }

    /// By gid, or by `external:` and the external gid.
    pub fn task(&self, gid: &str) -> Option<&Record> {
        match gid.strip_prefix("external:") {
            Some(external) => self.tasks.iter().find(|task| external_gid(task) == Some(external)),
            None => find(&self.tasks, gid),
        }
    }
}

/// The gid a client gave to a task.
pub(super) fn external_gid(task: &Record) -> Option<&str> {
    task.get("external")?.get("gid")?.as_str()
}

fn find<'a>(records: &'a [Record], gid: &str) -> Option<&'a Record> {
    records.iter().find(|record| record.get("gid").and_then(Value::as_str) == Some(gid))
}

/// Now, as Asana writes times: ISO 8601 in UTC with milliseconds.
pub(super) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
