//! What the store does with leases, and what workers do with what it says.
//!
//! Time is only what it does: a lease runs out, at any moment. In every state epochs are numbered anew,
//! as their order is all that counts, so that there are finitely many states; workers and runs are
//! sorted, as their names say nothing.

mod normal;

/// What the store looks at before it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fence {
    Stands,
    /// As if `check` in `writer/settle.rs` let every settle of a run in the queue through.
    Open,
    /// As if it did not ask for the row in the queue either.
    Gone,
}

/// What else goes wrong beside leases that run out and workers that freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mishaps {
    /// Workers die, and what they have sent arrives all the same, or twice.
    All,
    /// Nothing.
    None,
}

/// A run in the store: what `queue` and `run` say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    /// It has not ended.
    pub queued: bool,
    /// A worker; one that has died has no number any more.
    owner: Option<Owner>,
    epoch: u8,
    /// `available_at` is now or was before: of a leased run, the lease has run out.
    due: bool,
    /// Settles that have ended it.
    pub ends: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Owner {
    Worker(u8),
    Dead,
}

/// A process that claims runs. It works on one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    /// Stopped by SIGSTOP or a machine that stands still: does nothing, and does not know it.
    pub frozen: bool,
    /// What it takes to be its own. Gone as soon as it notices that it has lost the lease.
    hand: Option<Hand>,
    /// A write of its that is under way, also after its death.
    wire: Option<Write>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Hand {
    run: u8,
    epoch: u8,
    phase: Phase,
    /// Its step's effect was made when the lease was somebody else's.
    late: bool,
}

/// How far a worker is with the unsafe step that the run consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phase {
    Claimed,
    /// The barrier is on record: the effect may be made.
    Barred,
    /// The effect was made, and its result is not on record yet.
    Made,
    /// Waits for the answer to its write.
    Asked,
}

/// A settle on its way to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Write {
    owner: Owner,
    run: u8,
    epoch: u8,
    next: Next,
    late: bool,
    /// It has arrived, and may arrive once more.
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Next {
    Hold,
    Park,
    End,
}

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Faults {
    pub stale_write_counted: bool,
    pub late_result_recorded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State<const WORKERS: usize, const RUNS: usize> {
    fence: Fence,
    mishaps: Mishaps,
    pub runs: [Run; RUNS],
    pub workers: [Worker; WORKERS],
    pub faults: Faults,
}

/// Workers and runs by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    Claim(usize, usize),
    Renew(usize),
    GiveBack(usize),
    SendBarrier(usize),
    SendPark(usize),
    MakeEffect(usize),
    SendEnd(usize),
    /// The write of a worker reaches the store.
    Arrive(usize),
    /// It is not sent a second time.
    Lose(usize),
    Expire(usize),
    Freeze(usize),
    Thaw(usize),
    Die(usize),
}

impl<const WORKERS: usize, const RUNS: usize> State<WORKERS, RUNS> {
    pub fn start(fence: Fence, mishaps: Mishaps) -> Self {
        let run = Run { queued: true, owner: None, epoch: 0, due: true, ends: 0 };
        let worker = Worker { frozen: false, hand: None, wire: None };
        let faults = Faults::default();
        Self { fence, mishaps, runs: [run; RUNS], workers: [worker; WORKERS], faults }
    }

    pub fn has_ended(&self) -> bool {
        self.runs.iter().all(|run| !run.queued)
    }

    /// Somebody has made an effect without a lease, and has not noticed.
    pub fn works_without_lease(&self) -> bool {
        self.workers.iter().any(|worker| worker.hand.is_some_and(|hand| hand.late))
    }

    /// Every state that may follow.
    pub fn nexts(&self) -> impl Iterator<Item = (Move, Self)> {
        let of_worker = (0..WORKERS).flat_map(|worker| {
            [
                Move::Renew(worker),
                Move::GiveBack(worker),
                Move::SendBarrier(worker),
                Move::SendPark(worker),
                Move::MakeEffect(worker),
                Move::SendEnd(worker),
                Move::Arrive(worker),
                Move::Lose(worker),
                Move::Freeze(worker),
                Move::Thaw(worker),
                Move::Die(worker),
            ]
        });
        let claims =
            (0..WORKERS).flat_map(|worker| (0..RUNS).map(move |run| Move::Claim(worker, run)));
        let all = of_worker.chain(claims).chain((0..RUNS).map(Move::Expire));
        all.filter_map(|made| {
            let mut next = *self;
            next.take(made)?;
            next.normalize();
            Some((made, next))
        })
    }

    /// None if it cannot be.
    fn take(&mut self, made: Move) -> Option<()> {
        match made {
            Move::Claim(worker, run) => self.claim(worker, run),
            Move::Renew(worker) => self.renew(worker),
            Move::GiveBack(worker) => self.give_back(worker),
            Move::SendBarrier(worker) => self.send(worker, Phase::Claimed, Next::Hold),
            Move::SendPark(worker) => self.send(worker, Phase::Claimed, Next::Park),
            Move::MakeEffect(worker) => self.make_effect(worker),
            Move::SendEnd(worker) => self.send(worker, Phase::Made, Next::End),
            Move::Arrive(worker) => self.arrive(worker),
            Move::Lose(worker) => {
                self.workers[worker].wire.take_if(|write| write.again).map(|_| ())
            }
            Move::Expire(run) => {
                let run = &mut self.runs[run];
                (run.queued && !run.due).then(|| run.due = true)
            }
            Move::Freeze(worker) => {
                // Who has nothing to do is the same as frozen.
                let worker = &mut self.workers[worker];
                (!worker.frozen && worker.hand.is_some()).then(|| worker.frozen = true)
            }
            Move::Thaw(worker) => {
                let worker = &mut self.workers[worker];
                worker.frozen.then(|| worker.frozen = false)
            }
            Move::Die(worker) => self.die(worker),
        }
    }

    /// `claim.rs`, `take`: whoever is due is leased under a higher epoch, whoever had it before. Not by
    /// one that works on it (`held`).
    fn claim(&mut self, worker: usize, run: usize) -> Option<()> {
        let claimed = &mut self.runs[run];
        let free = self.workers[worker].hand.is_none() && !self.workers[worker].frozen;
        if !free || !claimed.queued || !claimed.due {
            return None;
        }
        claimed.owner = Some(Owner::Worker(worker as u8));
        claimed.epoch += 1;
        claimed.due = false;
        let (run, epoch) = (run as u8, claimed.epoch);
        self.workers[worker].hand = Some(Hand { run, epoch, phase: Phase::Claimed, late: false });
        Some(())
    }

    /// `leases.rs`, `renew`: not a question of time, only of owner and epoch. Who is told that the lease
    /// is lost stops.
    fn renew(&mut self, worker: usize) -> Option<()> {
        let hand = self.works(worker)?;
        if self.holds(Owner::Worker(worker as u8), hand.run, hand.epoch) {
            let run = &mut self.runs[hand.run as usize];
            // Not twice: nothing would change.
            return run.due.then(|| run.due = false);
        }
        self.workers[worker].hand = None;
        Some(())
    }

    /// `leases.rs`, `give_back`: the epoch stays, the owner goes.
    fn give_back(&mut self, worker: usize) -> Option<()> {
        let hand = self.works(worker).filter(|hand| hand.phase == Phase::Claimed)?;
        if self.holds(Owner::Worker(worker as u8), hand.run, hand.epoch) {
            let run = &mut self.runs[hand.run as usize];
            (run.owner, run.due) = (None, true);
        }
        self.workers[worker].hand = None;
        Some(())
    }

    fn send(&mut self, worker: usize, phase: Phase, next: Next) -> Option<()> {
        let hand = self.works(worker).filter(|hand| hand.phase == phase)?;
        let Worker { hand: of_worker, wire, .. } = &mut self.workers[worker];
        if wire.is_some() {
            return None;
        }
        let Hand { run, epoch, late, .. } = hand;
        let owner = Owner::Worker(worker as u8);
        *wire = Some(Write { owner, run, epoch, next, late, again: false });
        *of_worker = Some(Hand { phase: Phase::Asked, ..hand });
        Some(())
    }

    /// Outside the store, which cannot keep anybody from it.
    fn make_effect(&mut self, worker: usize) -> Option<()> {
        let hand = self.works(worker).filter(|hand| hand.phase == Phase::Barred)?;
        let late = !self.holds(Owner::Worker(worker as u8), hand.run, hand.epoch);
        self.workers[worker].hand = Some(Hand { phase: Phase::Made, late, ..hand });
        Some(())
    }

    /// A settle reaches the store; its answer reaches the worker, if that still waits for it.
    fn arrive(&mut self, worker: usize) -> Option<()> {
        let write = self.workers[worker].wire?;
        let (before, holds) = (self.runs, self.holds(write.owner, write.run, write.epoch));
        let written = self.settle(&write);
        self.faults.stale_write_counted |= !holds && (written || self.runs != before);
        self.faults.late_result_recorded |= write.late && written;
        let Worker { hand, wire, .. } = &mut self.workers[worker];
        let twice = self.mishaps == Mishaps::All && !write.again;
        *wire = twice.then_some(Write { again: true, ..write });
        if let Some(waits) = hand.filter(|hand| hand.phase == Phase::Asked && !write.again) {
            // Lost, or nothing left to do: it lets go of the run.
            let goes_on = written && write.next == Next::Hold;
            *hand = goes_on.then_some(Hand { phase: Phase::Barred, ..waits });
        }
        Some(())
    }

    /// `writer/settle.rs`, `apply`, with `check` for the fence; then `writer/next.rs`: `hold`,
    /// `give_back` (here due at once, or when it expires) and `end`. True if it has written.
    fn settle(&mut self, write: &Write) -> bool {
        let held = self.holds(write.owner, write.run, write.epoch);
        let run = &mut self.runs[write.run as usize];
        let passes = match self.fence {
            Fence::Stands => held,
            Fence::Open => run.queued,
            Fence::Gone => true,
        };
        if !passes {
            return false;
        }
        match write.next {
            Next::Hold => {}
            Next::Park => (run.owner, run.due) = (None, false),
            Next::End => {
                run.ends = run.ends.saturating_add(1).min(2);
                (run.queued, run.owner, run.due) = (false, None, false);
            }
        }
        true
    }

    /// The process is gone, and its next start has another name; what it has sent goes on.
    fn die(&mut self, worker: usize) -> Option<()> {
        let gone = Owner::Worker(worker as u8);
        let dies = &mut self.workers[worker];
        // A death that changes nothing is none.
        dies.hand.filter(|_| self.mishaps == Mishaps::All)?;
        (dies.frozen, dies.hand) = (false, None);
        if let Some(write) = &mut dies.wire {
            write.owner = Owner::Dead;
        }
        for run in self.runs.iter_mut().filter(|run| run.owner == Some(gone)) {
            run.owner = Some(Owner::Dead);
        }
        Some(())
    }

    /// What a worker that is not frozen takes to be its own.
    fn works(&self, worker: usize) -> Option<Hand> {
        self.workers[worker].hand.filter(|_| !self.workers[worker].frozen)
    }

    /// True if the lease is the run's.
    fn holds(&self, owner: Owner, run: u8, epoch: u8) -> bool {
        let run = &self.runs[run as usize];
        run.queued && run.owner == Some(owner) && run.epoch == epoch
    }
}
