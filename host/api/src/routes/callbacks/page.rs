//! What people read at the address of an approval.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;

use super::Asked;
use super::html::{escape, page};
use super::standing::Standing;
use crate::problem::Problem;
use crate::routes::signals::{Decision, Verdict};

/// What of the details is shown, in characters.
const MAX_DETAILS: usize = 64 * 1024;

/// The form of a decision. Its first button cannot be pressed: without it, the Enter key in a field
/// would approve.
const FORM: &str = "<form method=\"post\">\n<button disabled hidden></button>\n\
    <label>Your name <input name=\"by\" maxlength=\"200\" autocomplete=\"name\"></label>\n\
    <label>Reason <textarea name=\"reason\" rows=\"3\" maxlength=\"2000\"></textarea></label>\n\
    <button class=\"yes\" name=\"decision\" value=\"approved\">Approve</button>\n\
    <button name=\"decision\" value=\"rejected\">Reject</button>\n</form>\n";

/// The page of an approval as it stands.
pub(super) fn of_approval(asked: &Asked, standing: &Standing) -> Response {
    match standing {
        Standing::Open { input, until } => question(asked, input.value(), *until),
        Standing::NotYet => {
            let words = "Nobody is asked yet: the run has not come so far. Open this page later.";
            message(StatusCode::OK, asked, "Not asked yet", words)
        }
        Standing::Answered(answer) => answered(StatusCode::OK, asked, answer),
        Standing::Over => over(asked),
    }
}

/// A decision that was kept.
pub(super) fn decided(asked: &Asked, decision: &Decision) -> Response {
    let words = match decision.decision {
        Verdict::Approved => "You have approved this. You can close the page.",
        Verdict::Rejected => "You have rejected this. You can close the page.",
    };
    message(StatusCode::ACCEPTED, asked, "Thank you", words)
}

/// Another decision came first.
pub(super) fn answered(status: StatusCode, asked: &Asked, answer: &Json) -> Response {
    let answer = answer.value();
    let words = |name: &str| answer[name].as_str().filter(|text| !text.is_empty());
    let mut text = format!("This was {}", words("decision").unwrap_or("decided"));
    if let Some(by) = words("by") {
        let _ = write!(text, " by {by}");
    }
    text.push('.');
    if let Some(reason) = words("reason") {
        let _ = write!(text, " Reason: {reason}");
    }
    message(status, asked, "Decided", &text)
}

/// It cannot be decided any more.
pub(super) fn over(asked: &Asked) -> Response {
    let words = "Time is over, or the run was ended without it. Nothing can be decided here.";
    message(StatusCode::GONE, asked, "Too late", words)
}

/// What is wrong with a form.
pub(super) fn refused(asked: &Asked, problem: &Problem) -> Response {
    let words = format!("{}. Go back and correct it.", problem.detail());
    message(problem.kind().status(), asked, problem.kind().title(), &words)
}

fn question(asked: &Asked, input: &Value, until: Option<Timestamp>) -> Response {
    let title = input["title"].as_str().unwrap_or(&asked.step.node);
    let mut body = from(asked);
    let _ = writeln!(body, "<h1>{}</h1>", escape(title));
    body.push_str(&details(&input["details"]));
    if let Some(until) = until {
        let _ = writeln!(body, "<p class=\"until\">To be decided by {until}.</p>");
    }
    body.push_str(FORM);
    page(StatusCode::OK, title, &body)
}

fn message(status: StatusCode, asked: &Asked, title: &str, words: &str) -> Response {
    let (heading, words) = (escape(title), escape(words));
    let body = format!("{}<h1>{heading}</h1>\n<p class=\"text\">{words}</p>\n", from(asked));
    page(status, title, &body)
}

fn from(asked: &Asked) -> String {
    format!("<p class=\"from\">{}</p>\n", escape(&asked.view.workflow_name))
}

/// Texts as they are, an object as a list of its fields, everything else as JSON.
fn details(details: &Value) -> String {
    match details {
        Value::Null => String::new(),
        Value::String(text) => format!("<p class=\"text\">{}</p>\n", escape(&short(text))),
        Value::Object(fields) => {
            let mut left = MAX_DETAILS;
            let mut list = String::from("<dl>\n");
            for (name, value) in fields {
                let (name, value) = (short(name), short(&plain(value)));
                let length = name.chars().count() + value.chars().count();
                if length > left {
                    list.push_str("<dt>…</dt><dd>There is more than can be shown here.</dd>\n");
                    break;
                }
                left -= length;
                let _ = writeln!(list, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
            }
            list + "</dl>\n"
        }
        other => format!("<pre>{}</pre>\n", escape(&short(&plain(other)))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_DETAILS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… (there is more than can be shown here)", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX_DETAILS, details};

    #[test]
    fn details_of_every_kind_are_shown_escaped() {
        assert_eq!(details(&json!(null)), "");
        assert_eq!(details(&json!("a\n<b>")), "<p class=\"text\">a\n&lt;b&gt;</p>\n");
        assert_eq!(
            details(&json!({"<i>": "x & y", "n": 5})),
            "<dl>\n<dt>&lt;i&gt;</dt><dd>x &amp; y</dd>\n<dt>n</dt><dd>5</dd>\n</dl>\n"
        );
        assert_eq!(details(&json!([1])), "<pre>[\n  1\n]</pre>\n");
    }

    #[test]
    fn long_details_are_cut() {
        for long in [
            json!("é".repeat(2 * MAX_DETAILS)),
            json!({"a": "é".repeat(MAX_DETAILS - 10), "b": "é".repeat(MAX_DETAILS)}),
            json!(vec![1; MAX_DETAILS]),
        ] {
            let shown = details(&long);
            assert!(shown.chars().count() < MAX_DETAILS + 200, "{}", shown.len());
            assert!(shown.contains("more than can be shown"));
        }
    }
}
