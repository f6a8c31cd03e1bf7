//! Deadlines in order, each with whom to wake. An indexed binary heap: a deadline that is no longer wanted (an acquire that
//! succeeded, of ten thousand a second) is taken out at once instead of waiting for its time.

use std::task::Waker;

use crate::units::Stamp;

/// Handle of one deadline; valid until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

const OUT: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    at: Stamp,
    /// Tie-break: of equal deadlines the one that was set first fires first.
    order: u64,
    /// Position in `heap`, [`OUT`] once fired.
    position: u32,
    waker: Option<Waker>,
}

/// All deadlines of one worker.
#[derive(Debug, Default)]
pub(super) struct DeadlineHeap {
    entries: Vec<Entry>,
    heap: Vec<u32>,
    free: Vec<u32>,
    orders: u64,
}

impl DeadlineHeap {
    /// Adds a deadline.
    pub(super) fn insert(&mut self, at: Stamp, waker: Waker) -> Ticket {
        let position = index(self.heap.len());
        let entry = Entry { at, order: self.orders, position, waker: Some(waker) };
        self.orders += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = entry;
            slot
        } else {
            self.entries.push(entry);
            index(self.entries.len() - 1)
        };
        self.heap.push(slot);
        self.rise(position as usize);
        Ticket(slot)
    }

    /// Replaces whom to wake, if the deadline has not fired.
    pub(super) fn set_waker(&mut self, ticket: Ticket, waker: &Waker) {
        let entry = &mut self.entries[ticket.0 as usize];
        if entry.position != OUT && !entry.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            entry.waker = Some(waker.clone());
        }
    }

    /// Gives the handle back; the deadline no longer fires.
    pub(super) fn release(&mut self, ticket: Ticket) {
        let position = self.entries[ticket.0 as usize].position;
        if position != OUT {
            self.take_out(position as usize);
        }
        self.entries[ticket.0 as usize].waker = None;
        self.free.push(ticket.0);
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<Stamp> {
        self.heap.first().map(|&slot| self.entries[slot as usize].at)
    }

    /// Takes out the earliest deadline if it is due, and returns whom to wake.
    pub(super) fn pop_due(&mut self, now: Stamp) -> Option<Waker> {
        let slot = *self.heap.first()?;
        if self.entries[slot as usize].at > now {
            return None;
        }
        self.take_out(0);
        self.entries[slot as usize].waker.take()
    }

    fn take_out(&mut self, position: usize) {
        let slot = self.heap.swap_remove(position);
        self.entries[slot as usize].position = OUT;
        if position < self.heap.len() {
            self.entries[self.heap[position] as usize].position = index(position);
            self.sink(position);
            self.rise(position);
        }
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.entries[self.heap[a] as usize], &self.entries[self.heap[b] as usize]);
        (a.at, a.order) < (b.at, b.order)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.entries[self.heap[a] as usize].position = index(a);
        self.entries[self.heap[b] as usize].position = index(b);
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if !self.before(position, parent) {
                break;
            }
            self.swap(position, parent);
            position = parent;
        }
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let mut least = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.heap.len() && self.before(child, least) {
                    least = child;
                }
            }
            if least == position {
                break;
            }
            self.swap(position, least);
            position = least;
        }
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("fewer than 2^32 deadlines")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// Against the obvious model: a sorted list.
        #[test]
        fn fires_in_order_whatever_is_set_and_withdrawn(
            steps in proptest::collection::vec((any::<u8>(), any::<bool>()), 1..200)
        ) {
            let mut heap = DeadlineHeap::default();
            let mut model: Vec<(u64, u64, Ticket)> = Vec::new();
            for (order, (at, withdraw)) in (0u64..).zip(steps) {
                if withdraw && !model.is_empty() {
                    let (_, _, ticket) = model.swap_remove(usize::from(at) % model.len());
                    heap.release(ticket);
                } else {
                    let ticket = heap.insert(Stamp(u64::from(at)), Waker::noop().clone());
                    model.push((u64::from(at), order, ticket));
                }
            }
            model.sort_unstable_by_key(|(at, order, _)| (*at, *order));
            for (at, _, ticket) in model {
                prop_assert_eq!(heap.earliest(), Some(Stamp(at)));
                prop_assert_eq!(heap.heap[0], ticket.0);
                assert!(heap.pop_due(Stamp(at)).is_some());
            }
            prop_assert_eq!(heap.earliest(), None);
        }
    }
}
