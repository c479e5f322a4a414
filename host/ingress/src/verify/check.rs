//! Whether a scheme is one to rely on, and which scheme a trigger means. Run when a workflow is
//! applied, and again by the verifier, which fails closed.

use http::HeaderName;
use tombolo_core::secret::Secret;
use tombolo_core::workflow::{
    AcceptedSignature, ContentPart, DedupeSource, SignatureForm, TimestampSource, Verify,
    VerifyScheme,
};

use super::key;
use super::presets::{preset, presets};

/// How many kinds of signature a scheme may accept.
pub const MAX_ACCEPTED: usize = 4;

/// How many parts the signed content may have.
pub const MAX_CONTENT_PARTS: usize = 16;

/// How far the time of sending may be allowed to be from now: a day, in seconds.
pub const MAX_TOLERANCE_S: u32 = 86_400;

/// How many characters `url_unescape` may list.
pub const MAX_URL_UNESCAPE: usize = 32;

/// What is wrong with a trigger's `verify`, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemeProblem {
    /// JSON pointer below `verify`, or below the scheme for [`check_scheme`].
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a trigger that is not open asks for.
#[derive(Debug, Clone, Copy)]
pub struct Required<'a> {
    /// The scheme.
    pub scheme: &'a VerifyScheme,
    /// The names of the secrets.
    pub secrets: &'a [String],
    /// See [`super::Preset::item_id`].
    pub item_id: &'a [String],
}

/// The scheme a trigger means; nothing if it says that anybody may send.
///
/// # Errors
/// If there is no such preset, or the scheme written out is not one to rely on.
pub fn resolve(verify: &Verify) -> Result<Option<Required<'_>>, SchemeProblem> {
    match verify {
        Verify::Open(_) => Ok(None),
        Verify::Preset(by) => match preset(&by.preset) {
            Some(preset) => Ok(Some(Required {
                scheme: &preset.scheme,
                secrets: &by.secrets,
                item_id: &preset.item_id,
            })),
            None => Err(no_such_preset(&by.preset)),
        },
        Verify::Scheme(by) => match check_scheme(&by.scheme) {
            Ok(()) => Ok(Some(Required { scheme: &by.scheme, secrets: &by.secrets, item_id: &[] })),
            Err(problem) => {
                Err(SchemeProblem { pointer: format!("/scheme{}", problem.pointer), ..problem })
            }
        },
    }
}

fn no_such_preset(name: &str) -> SchemeProblem {
    let names: Vec<_> = presets().map(|(name, _)| name).collect();
    let message = format!("no such preset `{name}`; there are {}", names.join(", "));
    SchemeProblem { pointer: "/preset".to_owned(), message }
}

/// Checks that a secret has the form of one of the scheme's keys, so that a wrong one is told when
/// it is set and not when the first delivery is refused.
pub fn check_secret(scheme: &VerifyScheme, secret: &Secret) -> bool {
    scheme.accept.iter().any(|accepted| key::verifying(accepted, secret).is_some())
}

/// Checks that a scheme covers what it relies on and stays within its bounds.
///
/// # Errors
/// The first problem, with its place.
pub fn check_scheme(scheme: &VerifyScheme) -> Result<(), SchemeProblem> {
    header("/signature/header", &scheme.signature.header)?;
    accepted_kinds(scheme)?;
    content(scheme)?;
    timestamp(scheme)?;
    if let Some(name) = &scheme.id_header {
        header("/id_header", name)?;
    }
    match &scheme.dedupe {
        Some(DedupeSource::Header(name)) => header("/dedupe/header", name)?,
        Some(DedupeSource::BodyPointer(path)) => pointer("/dedupe/body_pointer", path)?,
        None => {}
    }
    let decodable = |c: char| c.is_ascii_punctuation() && c != '%';
    let unescape = &scheme.url_unescape;
    require(unescape.len() <= MAX_URL_UNESCAPE && unescape.chars().all(decodable), || {
        ("/url_unescape", format!("list up to {MAX_URL_UNESCAPE} punctuation marks other than `%`"))
    })
}

/// The kinds of signature: there are some, and a label tells them apart exactly where the form has
/// labels.
fn accepted_kinds(scheme: &VerifyScheme) -> Result<(), SchemeProblem> {
    let accept = &scheme.accept;
    require((1..=MAX_ACCEPTED).contains(&accept.len()), || {
        ("/accept", format!("list 1 to {MAX_ACCEPTED} kinds of signature"))
    })?;
    if matches!(scheme.signature.form, SignatureForm::Raw | SignatureForm::Prefix(_)) {
        return require(accept.len() == 1 && accept[0].label.is_none(), || {
            ("/accept", "this form of header has no labels: one kind, without a label".to_owned())
        });
    }
    let labels: Vec<_> = accept.iter().map(|accepted| accepted.label.as_deref()).collect();
    let is_label = |label: &str| !label.is_empty() && !label.contains([',', '=', ' ']);
    require(labels.iter().all(|label| label.is_some_and(is_label)), || {
        ("/accept", "this form of header has labels: every kind needs one".to_owned())
    })?;
    let distinct = |(at, label)| !labels[..at].contains(label);
    require(labels.iter().enumerate().all(distinct), || {
        ("/accept", "two kinds have the same label".to_owned())
    })?;
    require(accept.iter().all(|accepted| unambiguous(accepted, accept)), || {
        let message = "shared keys and public keys in one scheme need prefixes, so that a public \
                       key cannot pass for a shared one";
        ("/accept", message.to_owned())
    })
}

/// True unless one secret could be a public key of one kind and a shared key of another. Whoever
/// knows the public key could then sign with it.
fn unambiguous(accepted: &AcceptedSignature, all: &[AcceptedSignature]) -> bool {
    let shared = |kind: &AcceptedSignature| key::is_shared(kind.algorithm);
    let prefix = |kind: &AcceptedSignature| kind.key.prefix.clone().unwrap_or_default();
    let (mine, is_shared) = (prefix(accepted), shared(accepted));
    all.iter()
        .filter(|other| shared(other) != is_shared)
        .map(prefix)
        .all(|other| !mine.starts_with(&other) && !other.starts_with(&mine))
}

/// The content: the body is in it, and what it takes from headers is declared.
fn content(scheme: &VerifyScheme) -> Result<(), SchemeProblem> {
    let parts = &scheme.content;
    let has = |part| parts.contains(&part);
    let problem = |message: &str| ("/content", message.to_owned());
    require(parts.len() <= MAX_CONTENT_PARTS, || {
        ("/content", format!("list up to {MAX_CONTENT_PARTS} parts"))
    })?;
    require(has(ContentPart::Body), || problem("add `body`: else anybody could change it"))?;
    require(has(ContentPart::Id) == scheme.id_header.is_some(), || {
        problem("`id` and `id_header` go together: give both or neither")
    })?;
    let empty = |part: &ContentPart| *part == ContentPart::Literal(String::new());
    require(!parts.iter().any(empty), || problem("a `literal` must not be empty"))
}

/// The timestamp: what it is read from is signed, and its window has an end.
fn timestamp(scheme: &VerifyScheme) -> Result<(), SchemeProblem> {
    let in_content = scheme.content.contains(&ContentPart::Timestamp);
    let Some(rule) = &scheme.timestamp else {
        return require(!in_content, || {
            ("/timestamp", "`content` has a `timestamp`: say where it comes from".to_owned())
        });
    };
    let in_body = matches!(rule.from, TimestampSource::BodyPointer(_));
    require(in_content != in_body, || {
        let message = if in_body {
            "a timestamp in the body is signed with it: take `timestamp` out of `content`"
        } else {
            "add `timestamp` to `content`: else anybody could change it"
        };
        ("/timestamp/from", message.to_owned())
    })?;
    match &rule.from {
        TimestampSource::Header(name) => header("/timestamp/from/header", name)?,
        TimestampSource::BodyPointer(path) => pointer("/timestamp/from/body_pointer", path)?,
        TimestampSource::Parameter(label) => {
            let taken = scheme.accept.iter().any(|kind| kind.label.as_ref() == Some(label));
            require(scheme.signature.form == SignatureForm::Pairs && !taken, || {
                let message = "a `parameter` needs a signature header of the form `pairs`, and a \
                               label of its own";
                ("/timestamp/from/parameter", message.to_owned())
            })?;
        }
    }
    require(rule.past_s.max(rule.future_s) <= MAX_TOLERANCE_S, || {
        ("/timestamp", format!("allow at most {MAX_TOLERANCE_S} s"))
    })
}

/// Refuses a text that cannot be a header's name.
fn header(place: &'static str, name: &str) -> Result<(), SchemeProblem> {
    require(name.parse::<HeaderName>().is_ok(), || {
        (place, format!("`{name}` is not a header name"))
    })
}

/// Refuses a text that is not a JSON pointer to something in the body.
fn pointer(place: &'static str, path: &str) -> Result<(), SchemeProblem> {
    require(path.starts_with('/'), || {
        (place, format!("`{path}` is not a JSON pointer; write it like `/event/id`"))
    })
}

fn require(
    holds: bool,
    problem: impl FnOnce() -> (&'static str, String),
) -> Result<(), SchemeProblem> {
    if holds {
        return Ok(());
    }
    let (pointer, message) = problem();
    Err(SchemeProblem { pointer: pointer.to_owned(), message })
}
