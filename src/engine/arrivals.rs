//! When the transactions of a stage are planned to start, and which instance starts them. Pure arithmetic: the same
//! question always has the same answer, so that what was planned can be counted apart from what was handed out.

use crate::units::{InstanceId, Span, StageId, Stamp};
use crate::workload::Load;

/// One stage with its instants.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Position among the stages of this load; part of the key of its draws.
    pub(super) index: usize,
    /// Position among all stages of the journal.
    pub(super) id: StageId,
    pub(super) span: std::cell::Cell<Span>,
    pub(super) load: Load,
}

impl Window {
    pub(super) fn span(&self) -> Span {
        self.span.get()
    }
}

/// Ends the first window at `at`, if that is before its end. Those behind it begin earlier by as much.
pub(super) fn end_early(windows: &[Window], at: Stamp) -> bool {
    let Some((first, others)) = windows.split_first() else { return false };
    let span = first.span.get();
    if at <= span.from || at >= span.to {
        return false;
    }
    first.span.set(Span { from: span.from, to: at });
    let mut from = at;
    for window in others {
        let to = from + window.span.get().duration();
        window.span.set(Span { from, to });
        from = to;
    }
    true
}

/// One instance's part of a load: every `of`-th arrival or client, beginning with its own number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) instance: InstanceId,
    pub(super) of: u32,
}

impl Share {
    /// How many of `total` things are this instance's.
    pub(super) fn part(self, total: u64) -> u64 {
        let (first, step) = (u64::from(self.instance.0), u64::from(self.of.max(1)));
        if total <= first { 0 } else { (total - first - 1) / step + 1 }
    }

    /// The number among all of this instance's `own`-th thing.
    pub(super) fn number(self, own: u64) -> u64 {
        u64::from(self.instance.0) + own * u64::from(self.of.max(1))
    }
}

/// The instant of arrival `number` at a constant rate: `from + number / rate`, to the nanosecond.
pub(super) fn constant(from: Stamp, rate: f64, number: u64) -> Stamp {
    // 2^53 ns are 104 days; beyond them the rounding is below a microsecond for years.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let offset_ns = (number as f64 * (1e9 / rate)) as u64;
    Stamp(from.0.saturating_add(offset_ns))
}

/// How many arrivals at a constant rate are planned before `until`.
pub(super) fn constant_before(from: Stamp, rate: f64, until: Stamp) -> u64 {
    if until <= from {
        return 0;
    }
    // The estimate may be off by one by rounding; the definition above decides.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut count = ((until - from).as_secs_f64() * rate) as u64;
    while constant(from, rate, count) < until {
        count += 1;
    }
    while count > 0 && constant(from, rate, count - 1) >= until {
        count -= 1;
    }
    count
}

/// How many arrivals of one instance a stage plans before `until`; zero in a closed loop, where nothing is planned.
pub(super) fn planned_before(window: &Window, share: Share, until: Stamp) -> u64 {
    match window.load {
        Load::Rate(rate) => {
            share.part(constant_before(window.span().from, rate, until.min(window.span().to)))
        }
        Load::Clients(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn the_count_and_the_instants_agree(rate in 0.1f64..200_000.0, seconds in 0.0f64..100.0) {
            let from = Stamp(1_000_000_007);
            let until = from + std::time::Duration::from_secs_f64(seconds);
            let count = constant_before(from, rate, until);
            prop_assert!(constant(from, rate, count) >= until);
            if count > 0 {
                prop_assert!(constant(from, rate, count - 1) < until);
            }
        }

        #[test]
        fn every_arrival_belongs_to_exactly_one_instance(of in 1u32..20, total in 0u64..1000) {
            let shares: Vec<_> = (0..of).map(|i| Share { instance: InstanceId(i), of }).collect();
            prop_assert_eq!(shares.iter().map(|share| share.part(total)).sum::<u64>(), total);
            let mut numbers: Vec<u64> =
                shares.iter().flat_map(|share| (0..share.part(total)).map(|own| share.number(own))).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..total).collect::<Vec<_>>());
        }
    }
}
