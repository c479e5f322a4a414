//! Tests of the configuration: the manual is true, layers go over each other, mistakes are named.

use std::path::PathBuf;

use serde_json::Value;

use super::{Config, ConfigError, DEFAULT_FILE, Origin, bounds};

fn load(file: &str, variables: &[(&str, &str)]) -> Result<super::Loaded, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = (!file.is_empty()).then(|| (PathBuf::from("t.toml"), file.to_owned()));
    Config::from_layers(file, variables)
}

/// The only problem of a configuration, as `place: message`.
#[track_caller]
fn complaint(file: &str, variables: &[(&str, &str)]) -> String {
    let error = load(file, variables).expect_err("this should be refused");
    let [problem] = error.problems.as_slice() else { panic!("one problem expected: {error}") };
    format!("{}: {}", problem.place, problem.message)
}

/// Keys and values of the Rust defaults; sections are walked into.
fn leaves(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    for (name, value) in value.as_object().expect("a section") {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_object() {
            leaves(&key, value, into);
        } else {
            into.push((key, value.clone()));
        }
    }
}

fn defaults() -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    leaves("", &serde_json::to_value(Config::default()).unwrap(), &mut keys);
    keys
}

/// Key, value and the comment above it, for each line of the default file that sets a key or shows
/// one that is absent.
fn manual() -> Vec<(String, String, String)> {
    let (mut section, mut comment, mut entries) = (String::new(), String::new(), Vec::new());
    for line in DEFAULT_FILE.lines() {
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some(text) = line.strip_prefix("# ") {
            comment = format!("{comment} {text}");
        } else if let Some((key, value)) = setting.split_once(" = ") {
            entries.push((
                format!("{section}.{key}"),
                value.to_owned(),
                std::mem::take(&mut comment),
            ));
        } else {
            comment.clear();
        }
    }
    entries
}

#[test]
fn the_default_file_says_what_the_program_does_key_by_key() {
    let loaded = load("", &[]).unwrap();
    assert!(loaded.origins.is_empty());
    let file: Value = serde_json::to_value(&loaded.config).unwrap();
    for (key, expected) in defaults() {
        let found = key.split('.').fold(&file, |at, part| &at[part]);
        assert_eq!(found, &expected, "{key}");
    }
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_default_file_names_every_key_once_with_a_comment() {
    let manual = manual();
    for (key, value) in defaults() {
        let entries: Vec<_> = manual.iter().filter(|(name, ..)| *name == key).collect();
        let [(_, _, comment)] = entries.as_slice() else {
            panic!("`{key}` should stand in the default file once, with a comment: {entries:?}")
        };
        assert!(!comment.is_empty(), "`{key}` has no comment");
        if value.is_number() {
            let bounds = bounds::of(&key).unwrap_or_else(|| panic!("`{key}` has no bounds"));
            let said = format!("{} to {}", bounds.start(), bounds.end());
            assert!(
                comment.contains(&said),
                "the comment of `{key}` should say `{said}`: {comment}"
            );
        }
    }
    assert_eq!(manual.len(), defaults().len(), "a key in the file that nobody reads");
}

#[test]
fn a_file_goes_over_the_defaults_and_variables_over_the_file() {
    let file = "[engine]\nlease_seconds = 60\npoll_ms = 100\n\n[sandbox.call]\ncpu_ms = 2_000\n";
    let variables = [
        ("TOMBOLO_ENGINE__LEASE_SECONDS", "90"),
        ("TOMBOLO_EGRESS__ALLOW", "127.0.0.1:8080, crm.internal:443"),
        ("TOMBOLO_SERVER__PUBLIC_URL", "https://t.example.com/"),
        ("TOMBOLO_LOG__FORMAT", "json"),
        ("TOMBOLO_TOKEN", "not a setting"),
        ("HOME", "/root"),
    ];
    let loaded = load(file, &variables).unwrap();
    let config = loaded.config;
    assert_eq!(config.engine.lease_seconds, 90);
    assert_eq!(config.engine.poll_ms, 100);
    assert_eq!(config.engine.concurrent_runs, 256);
    assert_eq!(config.sandbox.call.cpu_ms, 2_000);
    assert_eq!(config.egress.allow.len(), 2);
    assert_eq!(config.egress.allow[1].to_string(), "crm.internal:443");
    assert_eq!(config.server.public_url(), "https://t.example.com");
    let origin = |key: &str| loaded.origins.get(key).map(Origin::to_string);
    assert_eq!(origin("engine.lease_seconds").as_deref(), Some("TOMBOLO_ENGINE__LEASE_SECONDS"));
    assert_eq!(origin("engine.poll_ms").as_deref(), Some("t.toml:3:11"));
    assert_eq!(origin("engine.concurrent_runs"), None);
}

#[test]
fn a_list_may_be_written_as_in_toml_and_may_be_emptied() {
    let list = load("", &[("TOMBOLO_EGRESS__ALLOW", "[\"127.0.0.1:1\"]")]).unwrap();
    assert_eq!(list.config.egress.allow.len(), 1);
    let file = "[egress]\nallow = [\"127.0.0.1:1\"]\n";
    let none = load(file, &[("TOMBOLO_EGRESS__ALLOW", "")]).unwrap();
    assert!(none.config.egress.allow.is_empty());
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_what_was_meant() {
    assert_eq!(
        complaint("[engine]\nlease_second = 60\n", &[]),
        "t.toml:2:1: there is no key `engine.lease_second`; did you mean `engine.lease_seconds`?"
    );
    assert_eq!(
        complaint("listen = \"127.0.0.1:1\"\n", &[]),
        "t.toml:1:1: there is no key `listen`; did you mean `server.listen`?"
    );
    assert_eq!(
        complaint("", &[("TOMBOLO_SANDBOX__CALL__MEMORY", "1")]),
        "TOMBOLO_SANDBOX__CALL__MEMORY: there is no key `TOMBOLO_SANDBOX__CALL__MEMORY`; \
         did you mean `TOMBOLO_SANDBOX__CALL__MEMORY_BYTES`?"
    );
    assert_eq!(
        complaint("[banana]\ncolour = 1\n", &[]),
        "t.toml:1:2: there is no key `banana`; `tombolo config default` prints every key there is"
    );
}

#[test]
fn an_unknown_variable_does_not_show_its_value() {
    let text = complaint("", &[("TOMBOLO_VAULT__KEY", "0123456789abcdef")]);
    assert!(text.contains("TOMBOLO_VAULT__KEY_FILE") || text.contains("TOMBOLO_VAULT__KEY_ENV"));
    assert!(!text.contains("0123"), "{text}");
}

#[test]
fn one_underscore_is_not_two() {
    assert_eq!(
        complaint("", &[("TOMBOLO_DATA_DIR", "/tmp")]),
        "TOMBOLO_DATA_DIR: a section and its key are joined by two underscores: `TOMBOLO_DATA__DIR`"
    );
}

#[test]
fn a_value_of_another_kind_is_named_with_its_place() {
    assert_eq!(
        complaint("[engine]\nlease_seconds = \"30s\"\n", &[]),
        "t.toml:2:17: `engine.lease_seconds` is `\"30s\"`, expected is a whole number, without quotes or unit"
    );
    assert_eq!(
        complaint("", &[("TOMBOLO_ENGINE__POLL_MS", "often")]),
        "TOMBOLO_ENGINE__POLL_MS: `engine.poll_ms` is `often`, expected is a whole number, without quotes or unit"
    );
    assert_eq!(
        complaint("engine = 3\n", &[]),
        "t.toml:1:10: `engine` is `3`, expected is a section with keys of its own"
    );
    assert_eq!(
        complaint("[server]\npublic_url = 1\n", &[]),
        "t.toml:2:14: `server.public_url` is `1`, expected is a text in quotes"
    );
    let allow = complaint("[egress]\n\nallow = [\"ok.internal:1\", \"*.internal:1\"]\n", &[]);
    assert!(allow.starts_with("t.toml:3:9: `egress.allow[1]`: "), "{allow}");
    assert!(allow.contains("`*.internal:1`"), "{allow}");
    let format = complaint("", &[("TOMBOLO_LOG__FORMAT", "xml")]);
    assert!(format.starts_with("TOMBOLO_LOG__FORMAT: `log.format`: "), "{format}");
    assert!(format.contains("`text`") && format.contains("`json`"), "{format}");
    let listen = complaint("[server]\nlisten = \"localhost\"\n", &[]);
    assert!(listen.starts_with("t.toml:2:10: `server.listen`: "), "{listen}");
}

#[test]
fn a_number_out_of_bounds_is_named_with_its_bounds() {
    assert_eq!(
        complaint("[engine]\nlease_seconds = 1\n", &[]),
        "t.toml:2:17: `engine.lease_seconds` is 1; it may be 5 to 3600"
    );
    assert_eq!(
        complaint("", &[("TOMBOLO_SANDBOX__INSTANCES", "-1")]),
        "TOMBOLO_SANDBOX__INSTANCES: `sandbox.instances` is -1; it may be 1 to 10000"
    );
}

#[test]
fn a_value_of_the_wrong_form_is_named_with_its_place() {
    assert_eq!(
        complaint("[store]\npage_bytes = 5000\n", &[]),
        "t.toml:2:14: `store.page_bytes` is 5000; it has to be a power of two, such as 4096"
    );
    let url = complaint("[server]\npublic_url = \"https://a.example/x\"\n", &[]);
    assert!(
        url.starts_with("t.toml:2:14: `server.public_url` is \"https://a.example/x\"; "),
        "{url}"
    );
    let issuer = complaint("[oidc]\nissuer = \"http://id.example.com\"\n", &[]);
    assert!(issuer.starts_with("t.toml:2:") && issuer.contains("https"), "{issuer}");
    let roles = complaint("[oidc]\nroles = [\"staff=root\"]\n", &[]);
    assert!(roles.contains("there is no role `root`"), "{roles}");
    let algorithms = complaint("", &[("TOMBOLO_OIDC__ALGORITHMS", "RS256,HS256")]);
    assert!(algorithms.contains("`HS256` is none of RS256"), "{algorithms}");
    let level = complaint("", &[("TOMBOLO_LOG__LEVEL", "inof")]);
    assert!(level.starts_with("TOMBOLO_LOG__LEVEL: `log.level` is \"inof\"; "), "{level}");
}

#[test]
fn what_is_not_toml_is_named_with_its_place() {
    let text = complaint("[engine]\nlease_seconds 60\n", &[]);
    assert!(text.starts_with("t.toml:2:"), "{text}");
    assert!(text.contains("this is not TOML"), "{text}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let variables = [("TOMBOLO_LOG__LEVL", "x"), ("TOMBOLO_LOG__FORMAT", "xml")];
    let error = load("[engine]\nleas = 1\npoll_ms = 0\n", &variables).unwrap_err();
    assert_eq!(error.problems.len(), 4, "{error}");
    assert_eq!(error.to_string().lines().count(), 5);
}

#[test]
fn the_store_takes_the_settings_as_they_are_written() {
    let file =
        "[store]\nsynchronous = \"normal\"\nqueue_writes = 99\nreaders = 2\nbusy_timeout_ms = 7\n";
    let sqlite = load(file, &[]).unwrap().config.store.sqlite();
    assert_eq!(sqlite.synchronous, tombolo_store::Synchronous::Normal);
    assert_eq!((sqlite.bounds.waiting, sqlite.readers), (99, 2));
    assert_eq!(sqlite.busy_timeout.as_millis(), 7);
    assert_eq!(
        load("", &[]).unwrap().config.store.sqlite(),
        tombolo_store::SqliteSettings::default()
    );
}
