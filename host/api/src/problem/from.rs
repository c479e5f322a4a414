//! What goes wrong behind the ports, as problems.

use std::time::Duration;

use tombolo_core::json::InvalidJson;
use tombolo_core::ports::authoring::AuthoringError;
use tombolo_core::ports::sandbox::InstallError;
use tombolo_core::ports::store::StoreError;
use tombolo_core::workflow::Issue;

use super::{Kind, Problem};

/// What a busy store asks for: a batch takes milliseconds.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// A database that stopped is back, or replaced by its standby, after seconds.
const UNREACHABLE_RETRY: Duration = Duration::from_secs(5);

/// A full disk needs a person.
const FULL_RETRY: Duration = Duration::from_secs(60);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy { .. } | StoreError::Locked => {
                Self::new(Kind::StoreBusy, error.to_string()).retry_after(BUSY_RETRY)
            }
            StoreError::Overloaded(_) => {
                Self::new(Kind::EvaluatorFailed, error.to_string()).retry_after(BUSY_RETRY)
            }
            StoreError::Full => {
                Self::new(Kind::DiskFull, error.to_string()).retry_after(FULL_RETRY)
            }
            StoreError::LeaseLost { .. }
            | StoreError::StateConflict { .. }
            | StoreError::Corrupt(_)
            | StoreError::Refused(_)
            | StoreError::Database(_) => Self::internal(error.to_string()),
            StoreError::Unreachable(_) | StoreError::Unknown(_) => {
                Self::unreachable(error.to_string()).retry_after(UNREACHABLE_RETRY)
            }
        }
    }
}

impl From<AuthoringError> for Problem {
    fn from(error: AuthoringError) -> Self {
        match error {
            AuthoringError::Invalid(issues) => Self::invalid_workflow(&issues),
            AuthoringError::Store(error) => error.into(),
            AuthoringError::Evaluator(_) => {
                Self::new(Kind::EvaluatorFailed, error.to_string()).retry_after(BUSY_RETRY)
            }
        }
    }
}

impl Problem {
    /// The workflow file is wrong: `issues` says where.
    pub(crate) fn invalid_workflow(issues: &[Issue]) -> Self {
        let detail = match issues {
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
            [] => "the workflow file was refused".to_owned(),
        };
        let issues = serde_json::to_value(issues).unwrap_or_default();
        Self::new(Kind::InvalidWorkflow, detail).with("issues", issues)
    }
}

impl From<InvalidJson> for Problem {
    fn from(error: InvalidJson) -> Self {
        let text = error.to_string();
        match error {
            InvalidJson::NotUtf8 { offset } => {
                Self::new(Kind::NotUtf8, text).with("offset", offset)
            }
            InvalidJson::Syntax { line, column, .. } => {
                Self::new(Kind::NotJson, text).with("line", line).with("column", column)
            }
            InvalidJson::DuplicateKey { line, column, .. } => {
                Self::new(Kind::DuplicateKey, text).with("line", line).with("column", column)
            }
            InvalidJson::TooDeep => Self::new(Kind::JsonTooDeep, text),
        }
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        let text = error.to_string();
        match error {
            InstallError::TooLarge { limit, .. } => {
                Self::new(Kind::ComponentTooLarge, text).with("limit_bytes", limit)
            }
            InstallError::CoreModule => Self::new(Kind::CoreModule, text),
            InstallError::Malformed { .. } => Self::new(Kind::MalformedComponent, text),
            InstallError::NotAPlugin { .. } => Self::new(Kind::NotAPlugin, text),
            InstallError::NewerContract { .. } => Self::new(Kind::NewerContract, text),
            InstallError::ForbiddenImport { import, hint, .. } => {
                Self::new(Kind::ForbiddenImport, text)
                    .with("import", import)
                    .with("suggestion", hint)
            }
            InstallError::DescribeFailed { .. } => Self::new(Kind::DescribeFailed, text),
            InstallError::BadDescriptor { pointer, .. } => {
                Self::new(Kind::BadDescriptor, text).with("pointer", pointer)
            }
            InstallError::CompileFailed { .. } => Self::new(Kind::CompileFailed, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_refused_under_the_code_of_the_sandbox() {
        let reason = || "because".to_owned();
        let all = [
            InstallError::TooLarge { size: 2, limit: 1 },
            InstallError::CoreModule,
            InstallError::Malformed { reason: reason() },
            InstallError::NotAPlugin { expected: reason(), found: reason() },
            InstallError::NewerContract { found: reason(), supported: reason() },
            InstallError::ForbiddenImport { import: reason(), world: reason(), hint: reason() },
            InstallError::DescribeFailed { reason: reason() },
            InstallError::BadDescriptor { pointer: reason(), reason: reason() },
            InstallError::CompileFailed { reason: reason() },
        ];
        for error in all {
            let code = error.code();
            assert_eq!(Problem::from(error).kind().code(), code);
        }
    }

    #[test]
    fn the_database_s_words_stay_in_the_log() {
        let words = || "table secret_things is gone".to_owned();
        for error in [StoreError::Database(words()), StoreError::Unreachable(words())] {
            let problem = Problem::from(error);
            assert!(!problem.body(None, None).to_string().contains("secret_things"));
            assert!(problem.cause().is_some_and(|cause| cause.contains("secret_things")));
        }
    }
}
