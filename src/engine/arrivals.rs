//! When the transactions of a stage are planned to start, and which instance starts them. Pure arithmetic: the same
//! question always has the same answer, so that what was planned can be counted apart from what was handed out.
//!
//! Arrivals follow a rate λ(t). With Λ(t) for the area below it, the arrival that has `level` before it is planned at
//! Λ⁻¹(level). Even arrivals have the levels 0, 1, 2, …; those of a Poisson process have the sums of unit exponentials (time
//! change of a Poisson process of rate 1). One process is dealt out to all instances in turn, as a load balancer does, so
//! that the arrivals and their work are the same however many instances and threads there are.

use std::cell::Cell;
use std::time::Duration;

use crate::generate::{Key, interval};
use crate::units::{Arrivals, InstanceId, Load, Pieces, Span, StageId, Stamp};

/// Arrivals of a Poisson process that are drawn together: skipping so many costs one draw.
const BLOCK: usize = 64;
/// A planned instant this close before the end of a stretch, in gaps between arrivals, is the rounding of one at its end.
const GAP_ROUNDED: f64 = 1e-6;
/// Purposes of the draws of a block.
const PURPOSE_LENGTH: u32 = 0;
const PURPOSE_GAPS: u32 = 1;

/// One stage with its instants.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Position among the stages of this load; part of the key of its draws.
    pub(super) index: usize,
    /// Position among all stages of the journal.
    pub(super) id: StageId,
    /// A stage that ends early changes its own and moves those behind it.
    span: Cell<Span>,
    pub(super) load: Load,
    /// Rate or clients over the time of the stage.
    course: Pieces,
}

impl Window {
    pub(super) fn new(index: usize, id: StageId, span: Span, load: Load) -> Self {
        let course = load.course().over(span.duration());
        Self { index, id, span: Cell::new(span), load, course }
    }

    /// From when to when it is.
    pub(super) fn span(&self) -> Span {
        self.span.get()
    }

    /// The level before which arrivals are planned before `until`, inside the window.
    fn level_at(&self, until: Stamp) -> f64 {
        self.course.area(until.min(self.span().to) - self.span().from)
    }

    /// When the arrival with this level is planned: always inside the window.
    fn instant(&self, level: f64) -> Stamp {
        let last = Stamp(self.span().to.0.saturating_sub(1));
        (self.span().from + self.course.reached(level)).min(last)
    }

    /// Closed loop: when client `number` among all instances takes part, from `now` on. Nothing when it does not any more.
    pub(super) fn takes_part(&self, number: u64, now: Stamp) -> Option<Stamp> {
        // A number of clients is rounded to the nearest whole one.
        let wanted = number as f64 + 0.5;
        let at = self.course.first_at_least(wanted, now - self.span().from)?;
        Some((self.span().from + at).max(now))
    }

    /// Closed loop: the most clients at once, over all instances.
    pub(super) fn clients_max(&self) -> u64 {
        // At most `LEVEL_MAX`, and not negative.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let clients = self.load.course().max().round() as u64;
        clients
    }
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

/// The arrivals of one window over all instances, walked in order. Two walks see the same arrivals: one hands them out, one
/// counts them.
pub(super) enum Schedule {
    /// A closed loop: nobody arrives.
    Nobody,
    Even,
    Poisson(Box<Poisson>),
}

impl Schedule {
    /// `key` is that of the stage's draws.
    pub(super) fn new(window: &Window, key: Key) -> Self {
        match window.load {
            Load::Closed { .. } => Self::Nobody,
            Load::Open { arrivals, .. } | Load::PartlyOpen { arrivals, .. } => match arrivals {
                Arrivals::Constant => Self::Even,
                Arrivals::Poisson => Self::Poisson(Box::new(Poisson::new(key.name("arrivals")))),
            },
        }
    }

    /// When arrival `number` is planned; nothing when that is behind the window. To be asked in ascending order.
    pub(super) fn instant(&mut self, window: &Window, number: u64) -> Option<Stamp> {
        let level = match self {
            Self::Nobody => return None,
            Self::Even => {
                if number >= even_below(window.level_at(window.span().to)) {
                    return None;
                }
                number as f64
            }
            Self::Poisson(process) => process.level(number),
        };
        let is_inside = matches!(self, Self::Even) || level < window.level_at(window.span().to);
        is_inside.then(|| window.instant(level))
    }

    /// How many arrivals are planned before `until`. To be asked in ascending order.
    pub(super) fn before(&mut self, window: &Window, until: Stamp) -> u64 {
        let level = window.level_at(until);
        match self {
            Self::Nobody => 0,
            Self::Even => even_below(level),
            Self::Poisson(process) => process.below(level),
        }
    }
}

/// How many of the levels 0, 1, 2, … lie below `level`, but for rounding.
fn even_below(level: f64) -> u64 {
    // Not negative after `max`; a float holds more arrivals exactly than any run has.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (level - GAP_ROUNDED).ceil().max(0.0) as u64;
    count
}

/// A Poisson process of rate 1, walked forward in blocks of equally many arrivals.
///
/// The length of a block is drawn as a sum of exponentials (gamma), and its arrivals as the parts of it that as many
/// exponentials have of their own sum. Sum and parts are independent, so this is the process itself (Devroye, "Non-Uniform
/// Random Variate Generation", 1986, chapter V, theorem 2.2), and a block in which nothing is wanted costs one draw: a
/// thousand instances that walk the same process each skip what is dealt to the others.
pub(super) struct Poisson {
    key: Key,
    block: u64,
    /// Level at the beginning of the block, which is that of the last arrival before it.
    begin: f64,
    length: f64,
    /// Where each arrival lies in its block, as a part of the length; the last at 1.
    parts: [f64; BLOCK],
    has_parts: bool,
}

impl Poisson {
    fn new(key: Key) -> Self {
        let parts = [0.0; BLOCK];
        let mut process = Self { key, block: 0, begin: 0.0, length: 0.0, parts, has_parts: false };
        process.length = process.draw_length();
        process
    }

    /// The level of arrival `number`, which is not in a block that was left.
    fn level(&mut self, number: u64) -> f64 {
        debug_assert!(number / BLOCK as u64 >= self.block, "a process is walked forward");
        while number / (BLOCK as u64) > self.block {
            self.next_block();
        }
        self.fill();
        // Smaller than the length of a block.
        self.at(usize::try_from(number % BLOCK as u64).unwrap_or(0))
    }

    /// How many arrivals have levels below `level`.
    fn below(&mut self, level: f64) -> u64 {
        while self.begin + self.length < level {
            self.next_block();
        }
        self.fill();
        let inside = self.parts.partition_point(|part| self.begin + self.length * part < level);
        self.block * BLOCK as u64 + inside as u64
    }

    fn at(&self, index: usize) -> f64 {
        self.begin + self.length * self.parts[index]
    }

    fn next_block(&mut self) {
        self.begin += self.length;
        self.block += 1;
        self.length = self.draw_length();
        self.has_parts = false;
    }

    fn draw_length(&self) -> f64 {
        interval::gamma(BLOCK as f64, &mut self.key.at(self.block, PURPOSE_LENGTH))
    }

    fn fill(&mut self) {
        if self.has_parts {
            return;
        }
        let mut stream = self.key.at(self.block, PURPOSE_GAPS);
        let mut sum = 0.0;
        for part in &mut self.parts {
            sum += interval::unit_exponential(&mut stream);
            *part = sum;
        }
        for part in &mut self.parts {
            *part /= sum;
        }
        self.has_parts = true;
    }
}

/// Counts what one instance's arrivals were planned to be, window after window.
pub(super) struct Planned {
    /// The window that is counted in.
    index: usize,
    /// Own arrivals of the windows before it.
    before: u64,
    schedule: Schedule,
}

impl Planned {
    pub(super) fn new(windows: &[Window], keys: &[Key]) -> Self {
        Self { index: 0, before: 0, schedule: Schedule::of(windows, keys, 0) }
    }

    /// Own arrivals that are planned before `until`, over all windows. To be asked in ascending order.
    pub(super) fn until(&mut self, windows: &[Window], keys: &[Key], share: Share, until: Stamp) -> u64 {
        while let Some(window) = windows.get(self.index) {
            let own = share.part(self.schedule.before(window, until));
            if until < window.span().to {
                return self.before + own;
            }
            self.before += own;
            self.index += 1;
            self.schedule = Schedule::of(windows, keys, self.index);
        }
        self.before
    }
}

impl Schedule {
    /// The schedule of window `index`, of nobody behind the last.
    pub(super) fn of(windows: &[Window], keys: &[Key], index: usize) -> Self {
        windows.get(index).map_or(Self::Nobody, |window| Self::new(window, keys[index]))
    }
}

/// Ends the window with this index at `at`, if that is before its end. Those behind it begin earlier by as much.
pub(super) fn end_early(windows: &[Window], index: usize, at: Stamp) -> bool {
    let Some((first, others)) = windows.get(index..).and_then(<[Window]>::split_first) else { return false };
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

/// The windows of stages that follow each other without a gap from `start` on.
pub(super) fn windows<'a>(
    start: Stamp,
    stages: impl IntoIterator<Item = (StageId, Duration, &'a Load)>,
) -> Vec<Window> {
    let mut from = start;
    let window = |(index, (id, duration, load)): (usize, (StageId, Duration, &Load))| {
        let span = Span { from, to: from + duration };
        from = span.to;
        Window::new(index, id, span, load.clone())
    };
    stages.into_iter().enumerate().map(window).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;
    use crate::units::{Course, Seed};

    const FROM: Stamp = Stamp(1_000_000_007);

    fn window(rate: Course, arrivals: Arrivals, seconds: f64) -> Window {
        let to = FROM + Duration::from_secs_f64(seconds);
        Window::new(0, StageId(0), Span { from: FROM, to }, Load::Open { rate, arrivals, max_lag: None })
    }

    fn key(seed: u64) -> Key {
        Key::root(Seed(seed)).name("test")
    }

    /// Every arrival of a window, in order.
    fn all(window: &Window, seed: u64) -> Vec<Stamp> {
        let mut schedule = Schedule::new(window, key(seed));
        (0..).map_while(|number| schedule.instant(window, number)).collect()
    }

    /// How many of the instants lie before `until`: they are rounded to the nanosecond, and an even one may be off by a
    /// millionth of a gap.
    fn possible(window: &Window, instants: &[Stamp], until: Stamp) -> std::ops::RangeInclusive<usize> {
        let level = window.level_at(until);
        let below = |bound: f64| instants.iter().filter(|at| window.level_at(**at) < bound).count();
        below(level - 1e-5)..=below(level + 1e-5)
    }

    fn courses() -> impl Strategy<Value = Course> {
        let level = || 0.0..2_000.0;
        prop_oneof![
            (0.1..2_000.0).prop_map(Course::Constant),
            (level(), level()).prop_map(|(from, to)| Course::Ramp { ramp: [from, to] }),
            proptest::collection::vec(level(), 1..6).prop_map(|steps| Course::Steps { steps }),
        ]
    }

    proptest! {
        /// What is counted is what is handed out, whenever it is asked.
        #[test]
        fn the_count_and_the_instants_agree(
            course in courses(),
            poisson in proptest::bool::ANY,
            seconds in 0.5f64..10.0,
            asked in proptest::collection::vec(0.0f64..1.1, 1..8),
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let window = window(course, arrivals, seconds);
            let instants = all(&window, 3);
            prop_assert!(instants.iter().all(|at| window.span().contains(*at)));
            let mut counting = Schedule::new(&window, key(3));
            let mut asked: Vec<f64> = asked.into_iter().map(|share| share * seconds).collect();
            asked.sort_by(f64::total_cmp);
            for seconds in asked {
                let until = FROM + Duration::from_secs_f64(seconds);
                let count = usize::try_from(counting.before(&window, until)).expect("few");
                prop_assert!(possible(&window, &instants, until).contains(&count));
            }
            let whole = Schedule::new(&window, key(3)).before(&window, window.span().to);
            prop_assert_eq!(whole, instants.len() as u64);
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

        /// One instance and many, each walking its own part, see the same instants; so does the count.
        #[test]
        fn arrivals_are_the_same_however_many_instances_share_them(of in 1u32..50, seed in 0u64..50) {
            let window = window(Course::Ramp { ramp: [500.0, 100.0] }, Arrivals::Poisson, 3.0);
            let mut together = Vec::new();
            for share in (0..of).map(|i| Share { instance: InstanceId(i), of }) {
                let mut schedule = Schedule::new(&window, key(seed));
                let own: Vec<Stamp> =
                    (0..).map_while(|own| schedule.instant(&window, share.number(own))).collect();
                let keys = [key(seed)];
                let windows = [window.clone()];
                let mut planned = Planned::new(&windows, &keys);
                let mut last = 0;
                for tenths in 0..40 {
                    let until = FROM + Duration::from_millis(100 * tenths);
                    let count = planned.until(&windows, &keys, share, until);
                    let expected = possible(&window, &own, until);
                    prop_assert!(count >= last && expected.contains(&usize::try_from(count).expect("few")));
                    last = count;
                }
                together.extend(own);
            }
            together.sort_unstable();
            prop_assert_eq!(together, all(&window, seed));
        }
    }

    #[test]
    fn even_arrivals_stand_where_the_rate_says() {
        let ms = |at: &Stamp| (*at - FROM).as_nanos() as f64 / 1e6;
        let constant = all(&window(Course::Constant(100.0), Arrivals::Constant, 10.0), 1);
        assert_eq!(constant.len(), 1000);
        assert!(constant.iter().enumerate().all(|(n, at)| (ms(at) - 10.0 * n as f64).abs() < 1e-6));
        // From 0 to 200/s in 10 s the n-th arrival is there at √(n ÷ 10) s.
        let ramp = all(&window(Course::Ramp { ramp: [0.0, 200.0] }, Arrivals::Constant, 10.0), 1);
        assert_eq!(ramp.len(), 1000);
        assert!(ramp.iter().enumerate().all(|(n, at)| (ms(at) - (n as f64 * 1e5).sqrt()).abs() < 1e-5));
        // No arrival more or less by rounding.
        for (rate, expected) in [(0.7, 21), (170.0, 5_100), (33.3, 999), (19_999.0, 599_970)] {
            let arrivals = all(&window(Course::Constant(rate), Arrivals::Constant, 30.0), 1);
            assert_eq!(arrivals.len(), expected, "{rate}");
        }
    }

    /// 10⁵ gaps: mean and variance within four standard deviations (1 ÷ √n, √8 ÷ √n), and Kolmogorov and Smirnov's distance
    /// below the value that one in a thousand exceeds (1.95 ÷ √n). The seed is fixed, so that it holds or does not. Neighbours
    /// do not depend on each other, not across the edge of a block either.
    #[test]
    fn gaps_of_a_poisson_process_are_exponential() {
        const ARRIVALS: u64 = 100_000;
        let n = ARRIVALS as f64;
        for seed in 1..=3 {
            let mut process = Poisson::new(key(seed));
            let levels: Vec<f64> = (0..ARRIVALS).map(|number| process.level(number)).collect();
            let before = std::iter::once(0.0).chain(levels.iter().copied());
            let gaps: Vec<f64> = levels.iter().zip(before).map(|(level, before)| level - before).collect();
            let mean = gaps.iter().sum::<f64>() / n;
            assert!((mean - 1.0).abs() < 4.0 / n.sqrt(), "{mean}");
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / n;
            assert!((variance - 1.0).abs() < 4.0 * 8.0_f64.sqrt() / n.sqrt(), "{variance}");
            let covariance = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / n;
            assert!(covariance.abs() < 4.0 / n.sqrt(), "{covariance}");
            let mut sorted = gaps;
            sorted.sort_by(f64::total_cmp);
            let distance = sorted.iter().enumerate().map(|(rank, gap)| {
                let below = 1.0 - (-gap).exp();
                (below - rank as f64 / n).abs().max(((rank + 1) as f64 / n - below).abs())
            });
            assert!(distance.fold(0.0, f64::max) < 1.95 / n.sqrt());
            // Counts in stretches of ten: their variance is their mean.
            let mut counting = Poisson::new(key(seed));
            let ends: Vec<u64> = (1..9_900).map(|ten| counting.below(10.0 * f64::from(ten))).collect();
            let counts: Vec<f64> = ends.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            let spread = counts.iter().map(|count| (count - 10.0).powi(2)).sum::<f64>() / counts.len() as f64;
            // Standard deviation of a variance of 9,899 such counts: √((2 + 1 ÷ 10) · 100 ÷ 9,899) = 0.146.
            assert!((spread - 10.0).abs() < 0.6, "{spread}");
        }
    }
}
