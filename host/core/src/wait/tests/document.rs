//! The reference page says what is so: its examples are read, its codes are all there are.

use std::collections::BTreeSet;

use super::super::{WaitFault, wait_schema};
use super::*;

const PAGE: &str = include_str!("../../../../../docs/reference/wait.md");

#[test]
fn its_examples_are_parameters() {
    let schema = jsonschema::draft202012::new(&wait_schema()).unwrap();
    let blocks: Vec<&str> =
        PAGE.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "{} examples", blocks.len());
    for block in blocks {
        let node: Value = serde_json::from_str(block).unwrap();
        let with = if node["use"] == "wait" { &node["with"] } else { &node };
        WaitSpec::parse(with).unwrap_or_else(|error| panic!("{block}: {error}"));
        assert!(schema.is_valid(with), "{block}");
    }
}

#[test]
fn it_lists_every_code() {
    let table = PAGE.split("## Errors").nth(1).unwrap();
    let listed: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let codes: BTreeSet<&str> = WaitFault::ALL.iter().map(|fault| fault.code()).collect();
    assert_eq!(listed, codes);
}
