//! What is accepted as a descriptor: the JSON that a plugin says of itself, checked to the last
//! schema. Every refusal has the JSON pointer of its place.

use std::collections::HashSet;

use serde_json::Value;
use serde_path_to_error::Segment;
use tombolo_core::descriptor::{CONTRACT, Descriptor, Operation};
use tombolo_core::json::{self, push_pointer};
use tombolo_core::ports::sandbox::InstallError;

use crate::inspect;

/// Operations of one plugin.
const OPERATIONS: usize = 256;
/// A name; bytes.
const NAME_BYTES: usize = 64;
/// Ways to authenticate that a connection can have.
const AUTH_KINDS: [&str; 4] = ["bearer", "header", "basic", "query"];
/// The port that every node has for its errors.
const ERROR_PORT: &str = "error";
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Reads and checks the answer of `describe`.
pub(crate) fn read(text: &str) -> Result<Descriptor, InstallError> {
    let value = json::parse(text.as_bytes()).map_err(|error| bad("", error.to_string()))?;
    let descriptor: Descriptor = serde_path_to_error::deserialize(value)
        .map_err(|error| bad(&pointer(error.path()), error.inner().to_string()))?;
    contract(&descriptor)?;
    kebab("/name", &descriptor.name)?;
    semver::Version::parse(&descriptor.version).map_err(|error| {
        bad("/version", format!("`{}` is not a semantic version: {error}", descriptor.version))
    })?;
    connections(&descriptor)?;
    operations(&descriptor)?;
    Ok(descriptor)
}

fn bad(pointer: &str, reason: impl Into<String>) -> InstallError {
    InstallError::BadDescriptor { pointer: pointer.to_owned(), reason: reason.into() }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => push_pointer(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

fn contract(descriptor: &Descriptor) -> Result<(), InstallError> {
    let version = inspect::major_minor(&descriptor.contract).ok_or_else(|| {
        bad("/contract", format!("`{}` is not of the form `{CONTRACT}`", descriptor.contract))
    })?;
    if inspect::newer(version) {
        return Err(InstallError::NewerContract {
            found: descriptor.contract.clone(),
            supported: CONTRACT.to_owned(),
        });
    }
    if inspect::major_minor(CONTRACT).is_some_and(|supported| version.0 != supported.0) {
        return Err(bad("/contract", format!("this host speaks {CONTRACT}")));
    }
    Ok(())
}

fn kebab(pointer: &str, name: &str) -> Result<(), InstallError> {
    let words = || name.split('-');
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && words().all(word)
    {
        return Ok(());
    }
    Err(bad(
        pointer,
        format!(
            "`{name}` is not a kebab-case name of at most {NAME_BYTES} characters, like `get-deal`"
        ),
    ))
}

fn connections(descriptor: &Descriptor) -> Result<(), InstallError> {
    for (at, connection) in descriptor.connections.iter().enumerate() {
        kebab(&format!("/connections/{at}/kind"), &connection.kind)?;
        for (n, auth) in connection.auth.iter().enumerate() {
            if !AUTH_KINDS.contains(&auth.as_str()) {
                return Err(bad(
                    &format!("/connections/{at}/auth/{n}"),
                    format!("`{auth}` is not one of {}", AUTH_KINDS.join(", ")),
                ));
            }
        }
    }
    Ok(())
}

fn operations(descriptor: &Descriptor) -> Result<(), InstallError> {
    if descriptor.operations.is_empty() {
        return Err(bad("/operations", "a plugin has at least one operation"));
    }
    if descriptor.operations.len() > OPERATIONS {
        return Err(bad("/operations", format!("more than {OPERATIONS} operations")));
    }
    let mut names = HashSet::new();
    for (at, operation) in descriptor.operations.iter().enumerate() {
        let place = format!("/operations/{at}");
        kebab(&format!("{place}/name"), &operation.name)?;
        if !names.insert(operation.name.as_str()) {
            return Err(bad(
                &format!("{place}/name"),
                format!("`{}` stands twice", operation.name),
            ));
        }
        effect(&place, descriptor, operation)?;
        schema(&format!("{place}/params"), &operation.params)?;
        schema(&format!("{place}/output"), &operation.output)?;
        ports(&place, operation)?;
        errors(&place, operation)?;
    }
    Ok(())
}

fn effect(place: &str, descriptor: &Descriptor, operation: &Operation) -> Result<(), InstallError> {
    let world = descriptor.world;
    if !world.permits(operation.effect) {
        return Err(bad(
            &format!("{place}/effect"),
            format!(
                "world `{}` does not permit this effect: a component of it cannot reach that far",
                world.name()
            ),
        ));
    }
    if operation.connection && !world.permits(tombolo_core::effect::Effect::Keyed) {
        return Err(bad(
            &format!("{place}/connection"),
            format!("world `{}` cannot use a connection", world.name()),
        ));
    }
    Ok(())
}

fn ports(place: &str, operation: &Operation) -> Result<(), InstallError> {
    let mut seen = HashSet::new();
    for (at, port) in operation.ports.iter().enumerate() {
        let place = format!("{place}/ports/{at}");
        kebab(&place, port)?;
        if port == ERROR_PORT {
            return Err(bad(&place, "every node has the port `error`; it is not declared"));
        }
        if !seen.insert(port) {
            return Err(bad(&place, format!("`{port}` stands twice")));
        }
    }
    for (at, pointer) in operation.dynamic_ports.iter().enumerate() {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(bad(
                &format!("{place}/dynamic_ports/{at}"),
                format!("`{pointer}` is not a JSON pointer"),
            ));
        }
    }
    Ok(())
}

fn errors(place: &str, operation: &Operation) -> Result<(), InstallError> {
    let mut seen = HashSet::new();
    for (at, error) in operation.errors.iter().enumerate() {
        let place = format!("{place}/errors/{at}/code");
        kebab(&place, &error.code)?;
        if !seen.insert(&error.code) {
            return Err(bad(&place, format!("`{}` stands twice", error.code)));
        }
    }
    Ok(())
}

/// A JSON Schema of 2020-12 that refers to nothing outside itself.
fn schema(place: &str, schema: &Value) -> Result<(), InstallError> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err(bad(place, "not a JSON Schema: neither an object nor true or false"));
    }
    if let Some(dialect) = schema.get("$schema")
        && dialect.as_str().is_none_or(|dialect| dialect.trim_end_matches('#') != DIALECT)
    {
        return Err(bad(&format!("{place}/$schema"), format!("only {DIALECT} is understood")));
    }
    local(place, schema)?;
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        bad(&format!("{place}{}", error.instance_path()), format!("not a JSON Schema: {error}"))
    })?;
    jsonschema::draft202012::new(schema)
        .map(|_| ())
        .map_err(|error| bad(place, format!("not a usable JSON Schema: {error}")))
}

/// Refuses references to other documents.
fn local(place: &str, schema: &Value) -> Result<(), InstallError> {
    match schema {
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            let place = push_pointer(place, key);
            if matches!(key.as_str(), "$ref" | "$dynamicRef")
                && value.as_str().is_some_and(|target| !target.starts_with('#'))
            {
                return Err(bad(&place, "a schema may refer to its own parts only, with `#/..`"));
            }
            local(&place, value)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| local(&format!("{place}/{at}"), item)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "contract": "1.0", "name": "hubspot", "version": "0.1.0", "world": "connector",
            "connections": [{"kind": "hubspot", "auth": ["bearer"]}],
            "operations": [
                {"name": "get-deal", "effect": "read", "connection": true, "ports": ["found", "missing"],
                 "params": {"type": "object", "properties": {"id": {"$ref": "#/$defs/id"}},
                            "$defs": {"id": {"type": "string"}}},
                 "output": true, "errors": [{"code": "deal-not-found", "class": "not-found"}]},
                {"name": "create-deal", "effect": "unsafe", "params": {}, "output": {}}
            ]
        })
    }

    fn refused(change: impl FnOnce(&mut Value)) -> (String, String) {
        let mut value = good();
        change(&mut value);
        match read(&value.to_string()) {
            Err(InstallError::BadDescriptor { pointer, reason }) => (pointer, reason),
            other => panic!("expected a bad descriptor, got {other:?}"),
        }
    }

    #[test]
    fn a_good_descriptor_is_read() {
        let descriptor = read(&good().to_string()).unwrap();
        assert_eq!(descriptor.operations.len(), 2);
    }

    #[test]
    fn every_refusal_has_its_place() {
        type Change = fn(&mut Value);
        let cases: &[(&str, Change)] = &[
            ("/contract", |d| d["contract"] = json!("one")),
            ("/contract", |d| d["contract"] = json!("0.9")),
            ("/name", |d| d["name"] = json!("HubSpot")),
            ("/name", |d| d["name"] = json!("a--b")),
            ("/name", |d| d["name"] = json!("x".repeat(65))),
            ("/version", |d| d["version"] = json!("1")),
            ("/world", |d| d["world"] = json!("kernel")),
            ("/operations", |d| d["operations"] = json!([])),
            ("/operations/1/name", |d| d["operations"][1]["name"] = json!("get-deal")),
            ("/operations/1/effect", |d| d["operations"][1]["effect"] = json!("harmless")),
            ("/operations/0/effect", |d| d["world"] = json!("transform")),
            ("/operations/1/effect", |d| {
                d["world"] = json!("router");
                d["operations"][0]["connection"] = json!(false);
            }),
            ("/operations/0/params/type", |d| d["operations"][0]["params"]["type"] = json!("text")),
            ("/operations/0/output", |d| d["operations"][0]["output"] = json!("string")),
            ("/operations/0/output/$ref", |d| {
                d["operations"][0]["output"] = json!({"$ref": "https://example.com/schema.json"});
            }),
            ("/operations/0/output", |d| {
                d["operations"][0]["output"] = json!({"$ref": "#/$defs/nowhere"});
            }),
            ("/operations/0/output/$schema", |d| {
                d["operations"][0]["output"] =
                    json!({"$schema": "http://json-schema.org/draft-07/schema#"});
            }),
            ("/operations/0/ports/1", |d| d["operations"][0]["ports"][1] = json!("error")),
            ("/operations/0/ports/1", |d| d["operations"][0]["ports"][1] = json!("found")),
            ("/operations/0/dynamic_ports/0", |d| {
                d["operations"][0]["dynamic_ports"] = json!(["ports"])
            }),
            ("/operations/0/errors/0/code", |d| {
                d["operations"][0]["errors"][0]["code"] = json!("Not Found")
            }),
            ("/connections/0/auth/0", |d| d["connections"][0]["auth"][0] = json!("oauth1")),
        ];
        for (expected, change) in cases {
            let (pointer, reason) = refused(change);
            assert_eq!(&pointer, expected, "{reason}");
        }
    }

    #[test]
    fn a_newer_contract_is_named() {
        let mut value = good();
        value["contract"] = json!("1.1");
        let error = read(&value.to_string()).unwrap_err();
        assert_eq!(error.code(), "newer-contract");
    }

    #[test]
    fn text_that_is_not_strict_json_is_refused() {
        let (pointer, reason) = match read(r#"{"contract": "1.0", "contract": "1.0"}"#) {
            Err(InstallError::BadDescriptor { pointer, reason }) => (pointer, reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer, "");
        assert!(reason.contains("stands twice"), "{reason}");
    }
}
