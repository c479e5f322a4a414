//! Every type of problem: code, status, title, and what to do. The one list; the reference table in
//! `docs/reference/problems.md` is compared with it by a test.

use axum::http::StatusCode;

macro_rules! kinds {
    ($($name:ident = $status:ident $code:literal $title:literal, $advice:literal;)*) => {
        /// A type of problem. Codes are stable; they are what a program looks at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $title] $name,)*
        }

        impl Kind {
            /// All of them, by subject.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Kebab-case; the last part of `type`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// A short sentence that is the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

kinds! {
    UnknownRoute = NOT_FOUND "unknown-route" "There is no such address", "Look at `/docs` for the addresses.";
    WrongMethod = METHOD_NOT_ALLOWED "wrong-method" "The address exists, the method does not", "Use a method of the `Allow` header.";
    Unauthorized = UNAUTHORIZED "unauthorized" "The request has no valid token", "Send `Authorization: Bearer tbl_..`; make a token with `tombolo token create`.";
    Forbidden = FORBIDDEN "forbidden" "The token lacks the scope", "Use a token with the scope named in `scope`.";
    ClaimUnknown = FORBIDDEN "claim-unknown" "A claim of the token leads to no tenant or role here", "Have the claim that `claim` names set by the identity provider, or change its mapping in `[oidc]`.";
    IssuerUnavailable = SERVICE_UNAVAILABLE "issuer-unavailable" "The identity provider's keys cannot be read", "Try again after `Retry-After` seconds; the log says why.";
    RateLimited = TOO_MANY_REQUESTS "rate-limited" "The token is used too often", "Try again after `Retry-After` seconds; `limit` is in requests a minute.";
    QuotaUsedUp = TOO_MANY_REQUESTS "quota-used-up" "A quota of the tenant is used up", "Try again after `Retry-After` seconds; `quota` says which, `limit` and `current` how much. See `GET /api/v1/tenant`.";
    QuotaFull = FORBIDDEN "quota-full" "A quota of the tenant is full", "Waiting does not help: remove something, or have the quota raised (`tombolo tenant quota`); `quota` says which, `limit` and `current` how much.";
    ScopeExceeded = FORBIDDEN "scope-exceeded" "A token cannot give what it does not have", "Ask for scopes that your own token has.";
    TokenNotFound = NOT_FOUND "token-not-found" "There is no such token", "List the tokens: `GET /api/v1/tokens`.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body is of another media type", "Set `Content-Type` as the detail says.";
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large" "The body is over the limit", "Send less; the limit is in `limit_bytes`.";
    BodyTimeout = REQUEST_TIMEOUT "body-timeout" "The body did not arrive in time", "Send the request again.";
    BodyBroken = BAD_REQUEST "body-broken" "The body broke off", "Send the request again.";
    NotUtf8 = BAD_REQUEST "not-utf8" "The body is not UTF-8", "Encode the text as UTF-8; `offset` is the first wrong byte.";
    NotJson = BAD_REQUEST "not-json" "The body is not JSON", "Look at `line` and `column`.";
    DuplicateKey = BAD_REQUEST "duplicate-key" "An object has a key twice", "Remove one of the two; see `line` and `column`.";
    JsonTooDeep = BAD_REQUEST "json-too-deep" "The JSON nests too deep", "Nest at most 100 levels.";
    InvalidBody = UNPROCESSABLE_ENTITY "invalid-body" "The body has not the form this address takes", "Correct the place that `pointer` names.";
    InvalidQuery = BAD_REQUEST "invalid-query" "A query parameter is wrong", "Correct what the detail names.";
    InvalidId = BAD_REQUEST "invalid-id" "A part of the address is malformed", "Correct what the detail names. Ids have a prefix such as `run_` and 32 hexadecimal digits, versions are whole numbers.";
    InvalidCursor = BAD_REQUEST "invalid-cursor" "The cursor is not one that was given out", "Take `next` of the page before, or leave it out.";
    PluginNotFound = NOT_FOUND "plugin-not-found" "There is no such plugin", "List the plugins: `GET /api/v1/plugins`.";
    VersionTaken = CONFLICT "version-taken" "Another component has this name and version", "Raise the plugin's version.";
    ComponentTooLarge = PAYLOAD_TOO_LARGE "component-too-large" "The component is over the limit", "Build with `opt-level = \"s\"`, `lto` and `strip`.";
    CoreModule = UNPROCESSABLE_ENTITY "core-module" "This is a core module, not a component", "Build for `wasm32-wasip2`.";
    MalformedComponent = UNPROCESSABLE_ENTITY "malformed-component" "This is not a valid component", "Build it again; check that the upload is complete.";
    NotAPlugin = UNPROCESSABLE_ENTITY "not-a-plugin" "The component does not export a plugin", "Use the export macro of `tombolo-sdk`.";
    NewerContract = UNPROCESSABLE_ENTITY "newer-contract" "The component is made for a newer contract", "Update Tombolo, or build with an older SDK.";
    ForbiddenImport = UNPROCESSABLE_ENTITY "forbidden-import" "The component imports what its world does not allow", "Remove the import that the detail names, or declare another world.";
    DescribeFailed = UNPROCESSABLE_ENTITY "describe-failed" "The component's `describe` failed", "Try `tombolo plugin inspect`.";
    BadDescriptor = UNPROCESSABLE_ENTITY "bad-descriptor" "The component's descriptor is not acceptable", "Correct the place that `pointer` names.";
    CompileFailed = UNPROCESSABLE_ENTITY "compile-failed" "The component could not be compiled within the limits", "Make it smaller or simpler.";
    TooManyUploads = SERVICE_UNAVAILABLE "too-many-uploads" "Too many components are being uploaded", "Try again after `Retry-After` seconds.";
    WorkflowNotFound = NOT_FOUND "workflow-not-found" "There is no such workflow", "List the workflows: `GET /api/v1/workflows`.";
    VersionNotFound = NOT_FOUND "version-not-found" "The workflow has no such version", "List them: `GET /api/v1/workflows/{name}/versions`.";
    InvalidWorkflow = UNPROCESSABLE_ENTITY "invalid-workflow" "The workflow file has issues", "Correct what `issues` lists: each has a pointer and, where there is one, a suggestion.";
    EvaluatorFailed = SERVICE_UNAVAILABLE "evaluator-failed" "The expressions could not be checked or evaluated", "Try again after `Retry-After` seconds.";
    ConnectionNotFound = NOT_FOUND "connection-not-found" "There is no such connection", "List the connections: `GET /api/v1/connections`.";
    CredentialsRequired = UNPROCESSABLE_ENTITY "credentials-required" "The address changed, so `auth` has to be sent again", "Send `auth` with its secret: stored credentials are never sent to a new address.";
    IdempotencyKeyInvalid = BAD_REQUEST "idempotency-key-invalid" "The `Idempotency-Key` is malformed", "Send one header with 1 to 255 visible ASCII characters, with or without double quotes.";
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "idempotency-key-reused" "The `Idempotency-Key` was used for another request", "Use a new key for a new request.";
    IdempotencyKeyInUse = CONFLICT "idempotency-key-in-use" "The run of this `Idempotency-Key` has no answer yet", "Ask again after `Retry-After` seconds, or look at `href`.";
    RunNotFound = NOT_FOUND "run-not-found" "There is no such run", "List the runs: `GET /api/v1/runs`.";
    StepNotFound = NOT_FOUND "step-not-found" "The run has no step of this node", "It may not have started yet: look at the run's `steps`.";
    RunEnded = CONFLICT "run-ended" "The run has ended before", "Nothing: `state` says how.";
    RunFailed = INTERNAL_SERVER_ERROR "run-failed" "The run failed", "Look at the run's steps: `tombolo run show`. Answered to a caller who waited.";
    RunCancelled = INTERNAL_SERVER_ERROR "run-cancelled" "The run was cancelled", "Start it again if that was not meant. Answered to a caller who waited.";
    RunNotEnded = CONFLICT "run-not-ended" "The run has not ended yet", "Cancel it first, or wait for its end.";
    RunBusy = CONFLICT "run-busy" "The run is being worked on", "Try again after `Retry-After` seconds: a run can be repaired while it waits, or when it has ended.";
    StepNotDead = CONFLICT "step-not-dead" "Only a step that is dead or unknown can be repaired", "Look where it stands: `GET /api/v1/runs/{id}/explain`.";
    NothingDead = CONFLICT "nothing-dead" "No step of the run is dead", "Nothing: there is nothing to redrive. To run it again, replay it.";
    OutcomeUnknown = CONFLICT "outcome-unknown" "Nobody knows whether the step took effect", "Look it up at the other side; then resolve the step with its output, or redrive it with `repeat_unknown`.";
    VersionUnusable = CONFLICT "version-unusable" "The workflow's version cannot be run", "Apply one that can be, and replay the run on it: `\"version\": \"latest\"`.";
    TakesNoSignal = CONFLICT "takes-no-signal" "The node waits for nobody", "Only `callback` and `approval` nodes take a signal.";
    AlreadyAnswered = CONFLICT "already-answered" "Another answer came first", "Nothing: the first one counts.";
    DeadLetterNotFound = NOT_FOUND "dead-letter-not-found" "There is no such dead letter", "List them: `GET /api/v1/dead-letters`. One that was redriven or resolved is none any more.";
    CallbackNotFound = NOT_FOUND "callback-not-found" "There is no such callback address", "Use the address as it was given: every character counts.";
    CallbackOver = GONE "callback-over" "It is too late: the step or its run has ended", "Nothing: it expired, or the run was ended without it.";
    TooManyBodies = SERVICE_UNAVAILABLE "too-many-bodies" "Too much is being sent at once", "Send it again after `Retry-After` seconds.";
    EventNotFound = NOT_FOUND "event-not-found" "There is no such event", "A run names its event in `event`.";
    TooManyFollowers = SERVICE_UNAVAILABLE "too-many-followers" "Too many runs are being followed", "Try again after `Retry-After` seconds, or poll the run.";
    ProblemNotFound = NOT_FOUND "problem-not-found" "There is no such type of problem", "They are listed in `docs/reference/problems.md`.";
    NotReady = SERVICE_UNAVAILABLE "not-ready" "The process cannot serve now", "See the log.";
    StoreBusy = SERVICE_UNAVAILABLE "store-busy" "Too much waits to be written; nothing was written", "Try again after `Retry-After` seconds.";
    StoreUnreachable = SERVICE_UNAVAILABLE "store-unreachable" "The database cannot be reached", "Try again after `Retry-After` seconds. Look whether a change took effect before you repeat it; an `Idempotency-Key` makes repeating safe.";
    DiskFull = SERVICE_UNAVAILABLE "disk-full" "The disk is full; nothing was written", "Make room, then try again.";
    Timeout = GATEWAY_TIMEOUT "timeout" "The answer took too long", "Look whether the request took effect before you repeat it; an `Idempotency-Key` makes repeating safe.";
    Internal = INTERNAL_SERVER_ERROR "internal" "Something broke on our side", "Look for `correlation_id` in the log.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Kind;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for code in codes {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
        }
    }

    #[test]
    fn the_reference_lists_exactly_these() {
        let reference = include_str!("../../../../docs/reference/problems.md");
        let listed: Vec<&str> = reference.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| {
                format!(
                    "| `{}` | {} | {} | {} |",
                    kind.code(),
                    kind.status().as_u16(),
                    kind.title(),
                    kind.advice()
                )
            })
            .collect();
        assert_eq!(listed, expected);
    }
}
