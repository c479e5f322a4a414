//! A write that waits: what is asked, what came of it, and whom to answer.

use tokio::sync::oneshot;
use tombolo_core::ports::store::StoreError;

/// One write of `Ask`, answered with `Answer`.
#[derive(Debug)]
pub(crate) struct Pending<Ask, Answer> {
    /// What is asked.
    pub(crate) ask: Ask,
    /// What came of it, if the transaction commits.
    pub(crate) outcome: Option<Result<Answer, StoreError>>,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

impl<Ask, Answer> Pending<Ask, Answer> {
    /// A write and where its answer will come.
    pub(crate) fn new(ask: Ask) -> (Self, oneshot::Receiver<Result<Answer, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let outcome = None;
        (Self { ask, outcome, reply }, answer)
    }

    /// Notes what came of it.
    pub(crate) fn set(&mut self, outcome: Result<Answer, StoreError>) {
        self.outcome = Some(outcome);
    }

    /// Answers with what came of it; to be called after the commit.
    pub(crate) fn answer(self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            Err(StoreError::Database("the writer passed over this write".to_owned()))
        });
        // Whoever has stopped waiting needs no answer.
        let _ = self.reply.send(outcome);
    }

    /// Answers that it failed.
    pub(crate) fn fail(self, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}
