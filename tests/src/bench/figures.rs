//! The figures of one shape in one round, by name. A dot in a name makes a group of its own in the
//! report.

use std::collections::BTreeMap;

use super::load::Load;
use super::process::Usage;

/// Figures whose sum over the rounds counts, not the median: any of them is one too many.
pub const SUMMED: [&str; 3] = ["lost", "errors", "duplicates"];

/// Figures by name.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    values: BTreeMap<String, f64>,
    /// What went wrong, for people.
    pub complaints: Vec<String>,
}

impl Figures {
    /// Sets one.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.values.insert(name.into(), value);
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Adds to one that is summed.
    pub fn add(&mut self, name: &str, value: u64) {
        *self.values.entry(name.to_owned()).or_default() += value as f64;
    }

    /// Sets the percentiles of the latency.
    pub fn latency(&mut self, group: &str, load: &Load) {
        self.set(format!("{group}p50_ms"), load.ms(50.0));
        self.set(format!("{group}p99_ms"), load.ms(99.0));
    }

    /// Sets what a request cost the server.
    pub fn usage(&mut self, group: &str, after: Usage, before: Usage, requests: u64) {
        let each = requests.max(1) as f64;
        let processor = after.processor.saturating_sub(before.processor);
        let written = after.written_bytes.saturating_sub(before.written_bytes);
        self.set(format!("{group}cpu_us_each"), processor.as_secs_f64() * 1e6 / each);
        self.set(format!("{group}written_bytes_each"), written as f64 / each);
    }

    /// Adds what was wrong in another measurement.
    pub fn add_wrongs(&mut self, mut other: Self) {
        for name in SUMMED {
            self.add(name, other.get(name).unwrap_or_default() as u64);
        }
        self.complaints.append(&mut other.complaints);
    }

    /// Counts wrong answers.
    pub fn failures(&mut self, load: &Load) {
        self.add("errors", load.failed);
        if let Some(what) = &load.first_failure {
            let count = load.failed;
            self.complaints.push(format!("{count} wrong answers, the first: {what}"));
        }
    }
}
