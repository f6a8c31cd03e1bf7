//! The ways from a lock waiter to those who stand at the ends of its chains. Pure: knows no server.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::units::BackendId;

/// Sessions of one chain that are kept.
pub const LINKS_MAX: usize = 16;

/// The ways from `waiter` to the ends of its chains, who are blocked by nobody: each from the nearest session to the root,
/// by the fewest steps. `blockers` has an entry for each waiter. Nearest root first; empty when the chain is a cycle.
#[must_use]
pub fn paths_of(waiter: BackendId, blockers: &HashMap<BackendId, Vec<BackendId>>) -> Vec<Vec<BackendId>> {
    let mut paths = Vec::new();
    let mut before: HashMap<BackendId, BackendId> = HashMap::new();
    let mut visited = HashSet::from([waiter]);
    let mut level = vec![waiter];
    while !level.is_empty() {
        let mut next = Vec::new();
        for backend in &level {
            for blocker in blockers.get(backend).into_iter().flatten() {
                if !visited.insert(*blocker) {
                    continue;
                }
                before.insert(*blocker, *backend);
                // A session that waits without a blocker was let go between two glances of the same look: it ends the chain.
                match blockers.get(blocker) {
                    Some(its) if !its.is_empty() => next.push(*blocker),
                    _ => paths.push(path_to(*blocker, waiter, &before)),
                }
            }
        }
        level = next;
    }
    paths
}

/// The sessions of a way that are kept: the nearest ones, and the root.
pub fn kept(path: &[BackendId]) -> impl Iterator<Item = BackendId> {
    let nearest = path.len().min(LINKS_MAX - 1);
    path[..nearest].iter().chain(path[nearest..].last()).copied()
}

/// Each once, in the order of appearance: a session that is in the way may be named for each of its locks, and the leader of a
/// parallel group for each of its members.
pub fn distinct<T: Copy + Eq + Hash>(ids: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut known = HashSet::new();
    ids.filter(move |id| known.insert(*id))
}

/// Back from `root` to the one whom `waiter` waits for.
fn path_to(root: BackendId, waiter: BackendId, before: &HashMap<BackendId, BackendId>) -> Vec<BackendId> {
    let step = |backend: &BackendId| before.get(backend).copied().filter(|backend| *backend != waiter);
    let mut path: Vec<BackendId> = std::iter::successors(Some(root), step).collect();
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(edges: &[(i64, &[i64])]) -> HashMap<BackendId, Vec<BackendId>> {
        edges
            .iter()
            .map(|(waiter, blockers)| (BackendId(*waiter), blockers.iter().map(|b| BackendId(*b)).collect()))
            .collect()
    }

    fn paths(waiter: i64, blockers: &[(i64, &[i64])]) -> Vec<Vec<i64>> {
        let plain = |path: Vec<BackendId>| path.into_iter().map(|id| id.0).collect();
        paths_of(BackendId(waiter), &chain(blockers)).into_iter().map(plain).collect()
    }

    #[test]
    fn a_chain_ends_at_the_session_that_waits_for_nobody() {
        // A reader (1) holds up an ALTER (2), which holds up all who come after it (3, 4).
        let queue: [(i64, &[i64]); 3] = [(2, &[1]), (3, &[2]), (4, &[2, 3])];
        assert_eq!(paths(4, &queue), [[2, 1]]);
        assert_eq!(paths(2, &queue), [[1]]);
    }

    #[test]
    fn a_cycle_has_no_root_and_does_not_hang() {
        assert!(paths(1, &[(1, &[2]), (2, &[1])]).is_empty());
    }

    #[test]
    fn a_waiter_beside_a_cycle_is_charged_to_the_root_outside_it() {
        assert_eq!(paths(1, &[(1, &[2]), (2, &[1, 9])]), [[2, 9]]);
    }

    #[test]
    fn a_prepared_transaction_is_a_root() {
        assert_eq!(paths(5, &[(5, &[0])]), [[0]]);
    }

    #[test]
    fn of_two_ways_the_shorter_one_is_told() {
        assert_eq!(paths(4, &[(4, &[3, 1]), (3, &[2]), (2, &[1])]), [[1]]);
    }
}
