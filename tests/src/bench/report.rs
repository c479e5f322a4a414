//! The report: medians over the rounds, as JSON and as a table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use super::figures::{Figures, SUMMED};
use super::place::Place;
use super::settings::Settings;
use super::{machine, table};

/// What a shape makes a second; its least and its most are told, too.
const RATE: &str = "per_second";

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    machine: Value,
    settings: Value,
    path: PathBuf,
    /// In the order in which they were first measured.
    shapes: Vec<(String, Vec<Figures>)>,
}

impl Report {
    /// An empty report.
    pub fn new(place: &Place, settings: &Settings) -> Self {
        Self {
            machine: machine::describe(place.work()),
            settings: json!({
                "rounds": settings.rounds,
                "seconds": settings.duration.as_secs_f64(),
                "store": if settings.postgres { "postgresql" } else { "sqlite" },
                "synchronous": "full", "variables": settings.variables,
            }),
            path: place.work().join("report.json"),
            shapes: Vec::new(),
        }
    }

    /// Adds the figures of one round.
    pub fn add(&mut self, shape: &str, figures: Figures) {
        match self.shapes.iter_mut().find(|(name, _)| name == shape) {
            Some((_, rounds)) => rounds.push(figures),
            None => self.shapes.push((shape.to_owned(), vec![figures])),
        }
    }

    /// Writes `report.json` and prints the table.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn publish(&self) -> anyhow::Result<()> {
        let shapes: Map<String, Value> = self
            .shapes
            .iter()
            .map(|(name, rounds)| (name.clone(), grouped(summary(rounds))))
            .collect();
        let report = json!({
            "machine": self.machine, "settings": self.settings, "shapes": shapes,
        });
        std::fs::write(&self.path, format!("{report:#}\n"))?;
        println!("{}", table::of(&self.machine, &self.settings, &shapes));
        Ok(())
    }

    /// Fails if anything was lost or wrong; never for the time that something took.
    ///
    /// # Errors
    /// With what was wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        let mut complaints = Vec::new();
        for (name, rounds) in &self.shapes {
            for figures in rounds {
                complaints.extend(figures.complaints.iter().map(|text| format!("{name}: {text}")));
            }
            let found = summary(rounds);
            for counted in SUMMED {
                if let Some(count) = found.get(counted).filter(|count| **count > 0.0) {
                    complaints.push(format!("{name}: {counted} {count}"));
                }
            }
        }
        ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
        Ok(())
    }
}

/// The median of each figure, the sum of those that are summed, and the range of the rate.
fn summary(rounds: &[Figures]) -> BTreeMap<String, f64> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in rounds.iter().flat_map(Figures::iter) {
        values.entry(name).or_default().push(value);
    }
    let mut summary = BTreeMap::new();
    for (name, mut values) in values {
        values.sort_by(f64::total_cmp);
        if SUMMED.contains(&name) {
            summary.insert(name.to_owned(), values.iter().sum());
            continue;
        }
        summary.insert(name.to_owned(), median(&values));
        let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
        if last == RATE {
            let group = &name[..name.len() - RATE.len()];
            let ends = values.first().zip(values.last());
            if let Some((least, most)) = ends {
                summary.insert(format!("{group}min"), *least);
                summary.insert(format!("{group}max"), *most);
            }
        }
    }
    summary
}

/// Of sorted values; of an even number the lower of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or_default()
}

/// Names with dots as objects in objects.
fn grouped(flat: BTreeMap<String, f64>) -> Value {
    let mut root = Map::new();
    for (name, value) in flat {
        insert(&mut root, &name, rounded(value));
    }
    root.into()
}

fn insert(group: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((first, rest)) = name.split_once('.') else {
        group.insert(name.to_owned(), value);
        return;
    };
    let inner = group.entry(first).or_insert_with(|| json!({}));
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

/// Three digits are more than a median of a noisy machine has.
fn rounded(value: f64) -> Value {
    if value.abs() >= 100.0 {
        json!(value.round() as i64)
    } else {
        json!((value * 1e3).round() / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_medians_ranges_and_sums() {
        let round = |rate: f64, lost: f64| {
            let mut figures = Figures::default();
            figures.set("per_second", rate);
            figures.set("connections.1.per_second", rate / 10.0);
            figures.set("lost", lost);
            figures
        };
        let rounds = [round(300.0, 1.0), round(100.0, 0.0), round(200.0, 2.0)];
        assert_eq!(
            grouped(summary(&rounds)),
            json!({
                "per_second": 200, "min": 100, "max": 300, "lost": 3.0,
                "connections": {"1": {"per_second": 20.0, "min": 10.0, "max": 30.0}}
            })
        );
    }
}
