//! Who waits for a run, and who follows it. Told only after what is told is durable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::intake::{Answer, Change, Follow, Progress};
use tombolo_core::ports::store::StepRow;
use tombolo_core::run::RunState;

/// Changes a slow follower may be behind before it has to read the run again.
const FOLLOWER_BUFFER: usize = 1024;

/// Waiters and followers by run. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<HashMap<RunId, Watched>>>);

#[derive(Default)]
struct Watched {
    waiting: Vec<oneshot::Sender<Answer>>,
    following: Option<broadcast::Sender<Progress>>,
}

impl Followers {
    /// Somebody who waits for the run's answer. Register first, look at the run after.
    pub fn wait(&self, run: RunId) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        let mut runs = self.lock();
        let watched = runs.entry(run).or_default();
        watched.waiting.retain(|waiter| !waiter.is_closed());
        watched.waiting.push(sender);
        Waiter { receiver: Some(receiver), run, followers: self.clone() }
    }

    /// A stream of the run's changes.
    pub fn follow(&self, run: RunId) -> Box<dyn Follow> {
        let mut runs = self.lock();
        let sender = runs
            .entry(run)
            .or_default()
            .following
            .get_or_insert_with(|| broadcast::channel(FOLLOWER_BUFFER).0);
        Box::new(Following { changes: Some(sender.subscribe()), run, followers: self.clone() })
    }

    /// Gives the answer to everybody who waits for the run.
    pub fn answer(&self, run: RunId, answer: &Answer) {
        let waiting = match self.lock().get_mut(&run) {
            Some(watched) => std::mem::take(&mut watched.waiting),
            None => return,
        };
        for waiter in waiting {
            // A waiter that lost patience is gone.
            let _ = waiter.send(answer.clone());
        }
    }

    /// Tells followers what became durable, and forgets the run when it ended.
    pub fn tell(
        &self,
        tenant: TenantId,
        run: RunId,
        steps: &[StepRow],
        state: RunState,
        at: Timestamp,
    ) {
        let mut runs = self.lock();
        let Some(watched) = runs.get(&run) else {
            return;
        };
        if let Some(sender) = &watched.following {
            let changes = steps
                .iter()
                .map(|step| Change::Step {
                    node: step.node.clone(),
                    item: step.item,
                    state: step.state,
                    attempt: step.attempt,
                })
                .chain([Change::Run { state }]);
            for change in changes {
                // Nobody listening is fine.
                let _ = sender.send(Progress { tenant, run, change, at });
            }
        }
        if state.ended() {
            runs.remove(&run);
        }
    }

    /// Forgets a run that nobody watches any more.
    fn tidy(&self, run: RunId) {
        let mut runs = self.lock();
        if let Some(watched) = runs.get_mut(&run) {
            watched.waiting.retain(|waiter| !waiter.is_closed());
            let followed =
                watched.following.as_ref().is_some_and(|sender| sender.receiver_count() > 0);
            if watched.waiting.is_empty() && !followed {
                runs.remove(&run);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a run's answer. Whoever stops waiting is forgotten.
pub(crate) struct Waiter {
    /// Taken when this is dropped, so that it does not count any more.
    receiver: Option<oneshot::Receiver<Answer>>,
    run: RunId,
    followers: Followers,
}

impl Waiter {
    /// The answer, if it is told in time.
    pub async fn answer(mut self, patience: Duration) -> Answer {
        self.told(patience).await.unwrap_or(Answer::NotYet)
    }

    /// The answer, if it is told in this time. May be asked again.
    pub async fn told(&mut self, within: Duration) -> Option<Answer> {
        let receiver = self.receiver.as_mut()?;
        tokio::time::timeout(within, receiver).await.ok().and_then(Result::ok)
    }

    /// Whose answer.
    pub fn run(&self) -> RunId {
        self.run
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver = None;
        self.followers.tidy(self.run);
    }
}

/// One follower of a run. The run is forgotten with its last one.
struct Following {
    /// Taken when this is dropped, so that it does not count any more.
    changes: Option<broadcast::Receiver<Progress>>,
    run: RunId,
    followers: Followers,
}

#[async_trait]
impl Follow for Following {
    async fn next(&mut self) -> Option<Progress> {
        self.changes.as_mut()?.recv().await.ok()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.changes = None;
        self.followers.tidy(self.run);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_run_that_nobody_watches_is_forgotten() {
        let followers = Followers::default();
        let run = RunId(Uuid::from_u128(1));
        let (first, second) = (followers.follow(run), followers.follow(run));
        drop(first);
        assert_eq!(followers.lock().len(), 1);
        drop(second);
        assert_eq!(followers.lock().len(), 0);

        let waiting = followers.wait(run);
        drop(waiting);
        assert_eq!(followers.lock().len(), 0);
    }
}
