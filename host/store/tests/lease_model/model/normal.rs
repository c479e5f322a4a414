//! One of all the states that differ in names and numbers only.

use super::{Owner, State};

impl<const WORKERS: usize, const RUNS: usize> State<WORKERS, RUNS> {
    /// The same for all states that differ only in who is called what.
    pub(super) fn normalize(&mut self) {
        self.number_anew();
        let mut turned = *self;
        turned.runs.reverse();
        for worker in &mut turned.workers {
            let other = |run: &mut u8| *run = RUNS as u8 - 1 - *run;
            worker.hand.iter_mut().for_each(|hand| other(&mut hand.run));
            worker.wire.iter_mut().for_each(|write| other(&mut write.run));
        }
        self.sort_workers();
        turned.sort_workers();
        *self = turned.min(*self);
    }

    fn sort_workers(&mut self) {
        let key = |place: usize| {
            let named = Some(Owner::Worker(place as u8));
            let mut worker = self.workers[place];
            let sends = worker.wire.map(|write| Some(write.owner) == named);
            worker.wire.iter_mut().for_each(|write| write.owner = Owner::Dead);
            (worker, sends, self.runs.map(|run| run.owner == named))
        };
        let mut order: [usize; WORKERS] = std::array::from_fn(|place| place);
        order.sort_by_key(|place| key(*place));
        let rename = |owner: &mut Owner| {
            if let Owner::Worker(old) = owner {
                let new = order.iter().position(|place| *place == *old as usize);
                *old = new.unwrap_or_default() as u8;
            }
        };
        let mut workers = order.map(|place| self.workers[place]);
        workers
            .iter_mut()
            .filter_map(|worker| worker.wire.as_mut())
            .for_each(|write| rename(&mut write.owner));
        self.runs.iter_mut().filter_map(|run| run.owner.as_mut()).for_each(rename);
        self.workers = workers;
    }

    /// Gives the epochs of each run the numbers from 0 on.
    fn number_anew(&mut self) {
        for place in 0..RUNS {
            let of_run = |run: u8| run as usize == place;
            let mut epochs = vec![self.runs[place].epoch];
            for worker in &self.workers {
                epochs.extend(worker.hand.filter(|hand| of_run(hand.run)).map(|hand| hand.epoch));
                epochs.extend(worker.wire.filter(|one| of_run(one.run)).map(|one| one.epoch));
            }
            epochs.sort_unstable();
            epochs.dedup();
            let number = |epoch: &mut u8| {
                *epoch = epochs.iter().position(|known| known == epoch).unwrap_or_default() as u8;
            };
            number(&mut self.runs[place].epoch);
            for worker in &mut self.workers {
                worker
                    .hand
                    .iter_mut()
                    .filter(|hand| of_run(hand.run))
                    .for_each(|hand| number(&mut hand.epoch));
                worker
                    .wire
                    .iter_mut()
                    .filter(|one| of_run(one.run))
                    .for_each(|one| number(&mut one.epoch));
            }
        }
    }
}
