//! The crates of the build, their licences and who depends on whom, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use serde_json::Value;

use crate::place::Place;
use crate::program::{cargo, output};

/// All crates of the lock file that some crate of ours can reach.
#[derive(Debug)]
pub struct Metadata {
    packages: BTreeMap<String, Package>,
}

/// One crate.
#[derive(Debug)]
pub struct Package {
    /// As in its manifest.
    pub name: String,
    /// As in its manifest.
    pub version: String,
    /// The SPDX expression, if it has one.
    pub license: Option<String>,
    /// Where its manifest is.
    pub manifest: PathBuf,
    /// True for the crates of this repository.
    pub ours: bool,
    /// What it names in its manifest, for every purpose.
    pub declared: Vec<String>,
    /// Ids of what it is linked with when it is no test and no build script.
    linked: Vec<String>,
}

impl Metadata {
    /// Asks cargo. The lock file is not changed.
    pub fn read(place: &Place) -> anyhow::Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--locked"];
        let text = output(&mut cargo(place, arguments))?;
        let value: Value = serde_json::from_str(&text).context("cargo metadata is no JSON")?;
        Self::of(&value).ok_or_else(|| anyhow!("cargo metadata has an unknown form"))
    }

    fn of(value: &Value) -> Option<Self> {
        let mut linked = BTreeMap::new();
        for node in value["resolve"]["nodes"].as_array()? {
            let dependencies = node["deps"].as_array()?;
            let ids = dependencies.iter().filter(|edge| is_linked(edge));
            let ids: Option<Vec<String>> = ids.map(|edge| text(&edge["pkg"])).collect();
            linked.insert(text(&node["id"])?, ids?);
        }
        let mut packages = BTreeMap::new();
        for package in value["packages"].as_array()? {
            let id = text(&package["id"])?;
            let declared = package["dependencies"].as_array()?;
            let declared: Option<Vec<String>> =
                declared.iter().map(|dependency| text(&dependency["name"])).collect();
            let package = Package {
                name: text(&package["name"])?,
                version: text(&package["version"])?,
                license: text(&package["license"]),
                manifest: PathBuf::from(text(&package["manifest_path"])?),
                ours: package["source"].is_null(),
                declared: declared?,
                linked: linked.remove(&id).unwrap_or_default(),
            };
            packages.insert(id, package);
        }
        Some(Self { packages })
    }

    /// Every crate.
    pub fn all(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The crates of this repository.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.all().filter(|package| package.ours)
    }

    /// Names of the crates that `package` itself is linked with.
    pub fn linked<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a str> {
        package.linked.iter().filter_map(|id| Some(self.packages.get(id)?.name.as_str()))
    }

    /// Names of all crates that end up in `package`, over any number of steps.
    pub fn contained<'a>(&'a self, package: &'a Package) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = package.linked.iter().collect();
        while let Some(id) = open.pop() {
            if let (true, Some(next)) = (seen.insert(id), self.packages.get(id)) {
                names.insert(next.name.as_str());
                open.extend(&next.linked);
            }
        }
        names
    }
}

/// Of the three kinds of dependency, null is the normal one.
fn is_linked(edge: &Value) -> bool {
    edge["dep_kinds"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, source: Option<&str>) -> Value {
        json!({
            "id": format!("id:{name}"), "name": name, "version": "1.0.0", "license": "MIT",
            "manifest_path": format!("{name}/Cargo.toml"), "source": source, "dependencies": [],
        })
    }

    fn edge(to: &str, kind: Option<&str>) -> Value {
        json!({ "pkg": format!("id:{to}"), "dep_kinds": [{ "kind": kind }] })
    }

    #[test]
    fn what_is_only_tested_or_built_with_is_not_contained() {
        let value = json!({
            "packages": [
                package("core", None), package("a", Some("r")), package("b", Some("r")),
                package("tester", Some("r")), package("builder", Some("r")),
            ],
            "resolve": { "nodes": [
                { "id": "id:core", "deps": [edge("a", None), edge("tester", Some("dev")), edge("builder", Some("build"))] },
                { "id": "id:a", "deps": [edge("b", None)] },
                { "id": "id:b", "deps": [edge("a", None)] },
            ] },
        });
        let metadata = Metadata::of(&value).expect("a known form");
        let core = metadata.ours().next().expect("core is ours");
        assert_eq!(core.name, "core");
        assert_eq!(metadata.contained(core).into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(metadata.linked(core).collect::<Vec<_>>(), ["a"]);
    }
}
