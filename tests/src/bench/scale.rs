//! Many processes on one database, simulated: where it saturates first.
//!
//! Each process takes runs in at random times. A run is two writes, one after the other: that of its
//! event, and that of its results. A process has two writers, each of which writes all that waits in one
//! transaction. The database has processor cores, which transactions wait for in a line, and one disk: all
//! transactions that are done when a flush begins are durable when it ends. What a transaction costs is
//! measured (`demand`); see `docs/scale.md`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::figures::Figures;
use super::report::Report;

/// Processor time of a transaction with one write, in microseconds, and of each write more.
const TRANSACTION_US: f64 = 840.0;
/// See [`TRANSACTION_US`].
const WRITE_US: f64 = 120.0;

/// What a process that has nothing to do takes of the database's processor in a second.
const IDLE_US: f64 = 1_000.0;

/// A flush of the log.
const FLUSH_US: f64 = 200.0;

/// Transactions of a process that are under way at the same time, and writes in one of them.
const WRITERS: usize = 2;
/// See [`WRITERS`].
const BATCH: usize = 256;

/// Writes of a run.
const WRITES: u8 = 2;

/// The longest that 99 of 100 writes may take.
const LIMIT_US: f64 = 100_000.0;

/// Simulated time, of which the first fifth is not counted.
const TIME_US: f64 = 5e6;

const PROCESSES: [usize; 3] = [10, 100, 1_000];
const CORES: [usize; 4] = [2, 8, 32, 64];

/// Adds what so many processes reach on databases of several sizes.
pub fn report(report: &mut Report) {
    for processes in PROCESSES {
        let mut figures = Figures::default();
        for cores in CORES {
            if processes as f64 * IDLE_US > cores as f64 * 1e6 / 2.0 {
                // Half of it and more for processes that do nothing: not the database for so many.
                continue;
            }
            let most = most(processes, cores);
            let group = format!("cores.{cores}.");
            figures.set(format!("{group}per_second"), most.runs_per_second);
            figures.set(format!("{group}p50_ms"), most.p50_us / 1e3);
            figures.set(format!("{group}p99_ms"), most.p99_us / 1e3);
            figures.set(format!("{group}cores_busy"), most.cores_busy);
            figures.set(format!("{group}disk_busy"), most.disk_busy);
            figures.set(format!("{group}writes_of_a_transaction"), most.batch);
        }
        report.add(&format!("scale-{processes}"), figures);
    }
}

/// What was reached.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    runs_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    /// Of 1.
    cores_busy: f64,
    /// Of 1.
    disk_busy: f64,
    batch: f64,
}

/// The most runs a second at which writes stay quick.
fn most(processes: usize, cores: usize) -> Reached {
    let (mut low, mut high) = (0.0, cores as f64 * 1e6 / WRITE_US);
    let mut best = Reached::default();
    while high - low > high * 0.02 {
        let middle = (low + high) / 2.0;
        match Simulation::new(processes, cores, middle).run() {
            Some(reached) if reached.p99_us <= LIMIT_US => {
                (low, best) = (middle, reached);
            }
            _ => high = middle,
        }
    }
    best
}

/// What happens next, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// A process takes a run in.
    Arrival { process: usize },
    /// A core is done with a transaction.
    Computed { transaction: usize },
    /// A flush is done.
    Flushed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct At(f64, Event);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A write that waits, or is under way: since when, and which of its run it is.
#[derive(Debug, Clone, Copy)]
struct Write {
    since: f64,
    number: u8,
}

#[derive(Debug, Default)]
struct Process {
    waiting: VecDeque<Write>,
    writing: usize,
}

#[derive(Debug)]
struct Transaction {
    process: usize,
    writes: Vec<Write>,
}

struct Simulation {
    random: StdRng,
    now: f64,
    events: BinaryHeap<Reverse<At>>,
    /// Microseconds between two runs of a process.
    apart_us: f64,
    processes: Vec<Process>,
    cores: usize,
    busy: usize,
    /// A core's share that idle processes take from each transaction.
    slower: f64,
    line: VecDeque<usize>,
    transactions: Vec<Transaction>,
    free: Vec<usize>,
    computed: Vec<usize>,
    flushing: Vec<usize>,
    took: Vec<f64>,
    core_us: f64,
    disk_us: f64,
    written: (f64, f64),
}

impl Simulation {
    fn new(processes: usize, cores: usize, runs_per_second: f64) -> Self {
        let idle = processes as f64 * IDLE_US / (cores as f64 * 1e6);
        Self {
            random: StdRng::seed_from_u64(processes as u64),
            now: 0.0,
            events: BinaryHeap::new(),
            apart_us: processes as f64 * 1e6 / runs_per_second,
            processes: (0..processes).map(|_| Process::default()).collect(),
            cores,
            busy: 0,
            slower: 1.0 / (1.0 - idle),
            line: VecDeque::new(),
            transactions: Vec::new(),
            free: Vec::new(),
            computed: Vec::new(),
            flushing: Vec::new(),
            took: Vec::new(),
            core_us: 0.0,
            disk_us: 0.0,
            written: (0.0, 0.0),
        }
    }

    /// None if more waits in the end than can be written soon.
    fn run(mut self) -> Option<Reached> {
        for process in 0..self.processes.len() {
            self.arrive_later(process);
        }
        while let Some(Reverse(At(now, event))) = self.events.pop() {
            if now > TIME_US {
                break;
            }
            self.now = now;
            match event {
                Event::Arrival { process } => {
                    self.processes[process].waiting.push_back(Write { since: now, number: 1 });
                    self.write(process);
                    self.arrive_later(process);
                }
                Event::Computed { transaction } => self.computed(transaction),
                Event::Flushed => self.flushed(),
            }
        }
        let waiting: usize = self.processes.iter().map(|process| process.waiting.len()).sum();
        if self.took.is_empty() || waiting > self.took.len() / 10 {
            return None;
        }
        self.took.sort_by(f64::total_cmp);
        let at = |part: f64| self.took[(self.took.len() as f64 * part) as usize];
        Some(Reached {
            runs_per_second: self.processes.len() as f64 * 1e6 / self.apart_us,
            p50_us: at(0.5),
            p99_us: at(0.99),
            cores_busy: self.core_us / (TIME_US * self.cores as f64),
            disk_busy: self.disk_us / TIME_US,
            batch: self.written.1 / self.written.0.max(1.0),
        })
    }

    fn arrive_later(&mut self, process: usize) {
        let unit: f64 = self.random.random();
        let after = -(1.0 - unit).ln() * self.apart_us;
        self.events.push(Reverse(At(self.now + after, Event::Arrival { process })));
    }

    /// Begins a transaction with what waits, if a writer is free.
    fn write(&mut self, process: usize) {
        let of = &mut self.processes[process];
        if of.writing == WRITERS || of.waiting.is_empty() {
            return;
        }
        of.writing += 1;
        let count = of.waiting.len().min(BATCH);
        let writes: Vec<Write> = of.waiting.drain(..count).collect();
        self.written.0 += 1.0;
        self.written.1 += writes.len() as f64;
        let transaction = Transaction { process, writes };
        let place = match self.free.pop() {
            Some(place) => {
                self.transactions[place] = transaction;
                place
            }
            None => {
                self.transactions.push(transaction);
                self.transactions.len() - 1
            }
        };
        self.line.push_back(place);
        self.compute();
    }

    fn compute(&mut self) {
        while self.busy < self.cores
            && let Some(transaction) = self.line.pop_front()
        {
            self.busy += 1;
            let more = self.transactions[transaction].writes.len().saturating_sub(1) as f64;
            let took = (TRANSACTION_US + more * WRITE_US) * self.slower;
            self.core_us += took;
            self.events.push(Reverse(At(self.now + took, Event::Computed { transaction })));
        }
    }

    fn computed(&mut self, transaction: usize) {
        self.busy -= 1;
        self.computed.push(transaction);
        self.flush();
        self.compute();
    }

    fn flush(&mut self) {
        if self.flushing.is_empty() && !self.computed.is_empty() {
            self.flushing = std::mem::take(&mut self.computed);
            self.disk_us += FLUSH_US;
            self.events.push(Reverse(At(self.now + FLUSH_US, Event::Flushed)));
        }
    }

    fn flushed(&mut self) {
        for transaction in std::mem::take(&mut self.flushing) {
            let process = self.transactions[transaction].process;
            for write in std::mem::take(&mut self.transactions[transaction].writes) {
                if self.now > TIME_US / 5.0 {
                    self.took.push(self.now - write.since);
                }
                if write.number < WRITES {
                    let next = Write { since: self.now, number: write.number + 1 };
                    self.processes[process].waiting.push_back(next);
                }
            }
            self.free.push(transaction);
            self.processes[process].writing -= 1;
            self.write(process);
        }
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cores_carry_more_and_few_processes_write_more_at_once() {
        let (few, many) = (most(10, 2), most(100, 2));
        assert!(most(10, 8).runs_per_second > few.runs_per_second * 2.0);
        assert!(few.batch > many.batch, "{few:?}, {many:?}");
        assert!(few.runs_per_second > many.runs_per_second, "{few:?}, {many:?}");
    }

    #[test]
    fn a_light_load_takes_a_transaction_and_a_flush() {
        let reached = Simulation::new(10, 8, 10.0).run().unwrap();
        assert!(
            reached.p50_us >= TRANSACTION_US + FLUSH_US && reached.p50_us < 1.6e3,
            "{reached:?}"
        );
        assert!(reached.cores_busy < 0.01);
    }
}
