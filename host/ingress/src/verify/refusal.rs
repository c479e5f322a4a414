//! Why a request is refused: a stable code for programs, a sentence that says what to check.
//!
//! Never tells anything about a secret, nor about the time before the signature is known to be good.

/// Why a request is not let in. The answer is 401 for all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature's header is absent, or carries no signature of a kind that is accepted.
    #[error(
        "header `{header}` carries no signature; check that the sender signs its requests and that \
         no proxy removes the header"
    )]
    MissingSignature {
        /// The header that was looked for.
        header: String,
    },
    /// The signature's header is not of the form the scheme states.
    #[error("header `{header}` is not a signature: {problem}")]
    MalformedSignature {
        /// The header.
        header: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No secret made this signature.
    #[error(
        "no secret of this trigger made the signature; check that the secret is the sender's \
         current one without a line break at its end, that no proxy changes the body and, where \
         the URL is signed, that the public address configured here is the one the sender calls"
    )]
    WrongSignature,
    /// The signature is good and too old.
    #[error(
        "sent {age_s} s ago, and {past_s} s are allowed; check this machine's clock, or let the \
         sender sign again when it sends again"
    )]
    StaleTimestamp {
        /// How old it is, in seconds.
        age_s: i64,
        /// How old it may be, in seconds.
        past_s: u32,
    },
    /// The signature is good and from the future.
    #[error("sent {ahead_s} s in the future, and {future_s} s are allowed; check both clocks")]
    FutureTimestamp {
        /// How far ahead it is, in seconds.
        ahead_s: i64,
        /// How far ahead it may be, in seconds.
        future_s: u32,
    },
    /// The time of sending is absent.
    #[error("{place} carries no timestamp; check that the sender uses this scheme")]
    MissingTimestamp {
        /// Where it was looked for.
        place: String,
    },
    /// The signature is good, the time of sending cannot be read.
    #[error("{place} is not a timestamp in the unit of this scheme")]
    MalformedTimestamp {
        /// Where it stands.
        place: String,
    },
    /// The id that is part of the signed content is absent.
    #[error("header `{header}` is missing; its value is part of what is signed")]
    MissingId {
        /// The header that was looked for.
        header: String,
    },
    /// An id is empty, too long, not visible ASCII, or runs into the text that follows it.
    #[error("header `{header}` is not an id: {problem}")]
    MalformedId {
        /// The header.
        header: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A header that counts is there twice, so nobody can say which one was meant.
    #[error("header `{header}` is there more than once; check the proxies in between")]
    DuplicateHeader {
        /// The header.
        header: String,
    },
    /// There is no secret, or none that has the form of this scheme's keys.
    #[error(
        "this trigger has no usable secret; set one of the form the scheme wants, or write \
         `\"verify\": \"none\"` if anybody may send"
    )]
    NoSecret,
    /// The scheme would let through what nobody signed.
    #[error("this trigger's scheme is not safe to use; validate the workflow for the reason")]
    UnusableScheme,
}

impl Refusal {
    /// Stable and kebab-case, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingSignature { .. } => "missing-signature",
            Self::MalformedSignature { .. } => "malformed-signature",
            Self::WrongSignature => "wrong-signature",
            Self::StaleTimestamp { .. } => "stale-timestamp",
            Self::FutureTimestamp { .. } => "future-timestamp",
            Self::MissingTimestamp { .. } => "missing-timestamp",
            Self::MalformedTimestamp { .. } => "malformed-timestamp",
            Self::MissingId { .. } => "missing-id",
            Self::MalformedId { .. } => "malformed-id",
            Self::DuplicateHeader { .. } => "duplicate-header",
            Self::NoSecret => "no-secret",
            Self::UnusableScheme => "unusable-scheme",
        }
    }
}
