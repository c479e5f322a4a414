//! What can be wrong with a wait: the place, a stable code, and what to write instead.

/// What is wrong with a wait's parameters, or with what they ask for at a given time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct WaitError {
    /// JSON pointer (RFC 6901) into the parameters; empty for the parameters as a whole.
    pub pointer: String,
    /// What kind of mistake it is.
    pub fault: WaitFault,
    /// One sentence for people, which says what to write instead.
    pub message: String,
}

impl WaitError {
    pub(super) fn new(
        fault: WaitFault,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), fault, message: message.into() }
    }

    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }
}

/// The kinds of mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFault {
    /// A value of another type than the key takes.
    WrongType,
    /// A key that means nothing here.
    UnknownKey,
    /// A key that has to be there.
    MissingKey,
    /// None of `for`, `until` and `business`, or more than one.
    NotOneWay,
    /// No length of time, or one over 366 days.
    InvalidDuration,
    /// No point in time.
    InvalidTime,
    /// A local time without its zone.
    MissingTimeZone,
    /// A zone where none is needed.
    ExtraTimeZone,
    /// A zone that the database does not have.
    UnknownTimeZone,
    /// Opening hours that are no interval of a day.
    InvalidHours,
    /// Intervals of a day out of order, or one over the other.
    OverlappingHours,
    /// A day of the week that two keys give hours to.
    RepeatedDay,
    /// More intervals on a day than [`MAX_INTERVALS_PER_DAY`](super::MAX_INTERVALS_PER_DAY).
    TooManyIntervals,
    /// A holiday that is no date.
    InvalidHoliday,
    /// More holidays than [`MAX_HOLIDAYS`](super::MAX_HOLIDAYS).
    TooManyHolidays,
    /// A calendar that stays closed for [`OPENS_WITHIN`](super::OPENS_WITHIN).
    NeverOpens,
    /// Due later than [`MAX_WAIT`](super::MAX_WAIT) from now.
    MaxWait,
    /// A time at which no calendar is known.
    OutOfRange,
}

impl WaitFault {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::WrongType,
        Self::UnknownKey,
        Self::MissingKey,
        Self::NotOneWay,
        Self::InvalidDuration,
        Self::InvalidTime,
        Self::MissingTimeZone,
        Self::ExtraTimeZone,
        Self::UnknownTimeZone,
        Self::InvalidHours,
        Self::OverlappingHours,
        Self::RepeatedDay,
        Self::TooManyIntervals,
        Self::InvalidHoliday,
        Self::TooManyHolidays,
        Self::NeverOpens,
        Self::MaxWait,
        Self::OutOfRange,
    ];

    /// Stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongType => "wrong-type",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::NotOneWay => "not-one-way",
            Self::InvalidDuration => "invalid-duration",
            Self::InvalidTime => "invalid-time",
            Self::MissingTimeZone => "missing-time-zone",
            Self::ExtraTimeZone => "extra-time-zone",
            Self::UnknownTimeZone => "unknown-time-zone",
            Self::InvalidHours => "invalid-hours",
            Self::OverlappingHours => "overlapping-hours",
            Self::RepeatedDay => "repeated-day",
            Self::TooManyIntervals => "too-many-intervals",
            Self::InvalidHoliday => "invalid-holiday",
            Self::TooManyHolidays => "too-many-holidays",
            Self::NeverOpens => "never-opens",
            Self::MaxWait => "max-wait",
            Self::OutOfRange => "out-of-range",
        }
    }
}
