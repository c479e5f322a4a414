//! Secrets that stand in a file: they belong into connections.

use serde_json::Value;

use super::Compiler;
use crate::json::push_pointer;
use crate::workflow::issue::Issue;

impl Compiler<'_> {
    /// Secrets belong into connections: a workflow file is shown, diffed and versioned.
    pub(super) fn check_literal_secrets(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    let inner = push_pointer(pointer, key);
                    if is_secret_key(key)
                        && matches!(field, Value::String(text) if is_literal(text))
                    {
                        self.add_secret(&inner, &format!("`{key}` looks like a secret"));
                    } else {
                        self.check_literal_secrets(field, &inner);
                    }
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.check_literal_secrets(item, &push_pointer(pointer, &at.to_string()));
                }
            }
            Value::String(text) if looks_secret(text) => {
                self.add_secret(pointer, "this value looks like a secret");
            }
            _ => {}
        }
    }

    pub(super) fn add_secret(&mut self, pointer: &str, message: &str) {
        let fix = "keep it in a connection: tombolo connection set <name> --bearer-stdin";
        self.add(Issue::new(pointer, "secret-in-workflow", message).suggest(Some(fix.to_owned())));
    }
}

/// Keys whose text is a secret wherever it stands.
fn is_secret_key(key: &str) -> bool {
    const SECRET: [&str; 9] = [
        "authorization",
        "password",
        "api_key",
        "apikey",
        "api-key",
        "x-api-key",
        "client_secret",
        "access_token",
        "private_key",
    ];
    SECRET.contains(&key.to_ascii_lowercase().as_str())
}

/// Starts of well-known tokens.
fn looks_secret(text: &str) -> bool {
    const STARTS: [&str; 12] = [
        "Bearer ",
        "Basic ",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "whsec_",
        "xoxb-",
        "xoxp-",
        "ghp_",
        "github_pat_",
        "pat-na1-",
        "pat-eu1-",
    ];
    let known = STARTS.iter().any(|start| text.starts_with(start) && text.len() >= start.len() + 8);
    (known && is_literal(text))
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"))
}

fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.contains("${")
}
