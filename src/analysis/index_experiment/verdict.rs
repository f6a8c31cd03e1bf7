//! What to do about an index, and why. Pure: by intervals of what is won and what is paid, and by what the server counted.
//!
//! An index is worth it where the least that its reads win is more than the most that writes pay, and not where it is the other way
//! round; both are intervals at 95 %, in microseconds for each transaction of the mix, of statements that touch its table. A read
//! counts as won only where it is faster by the familywise verdict. What no statement uses cannot win.

use crate::model::{
    IndexEffectInfo, IndexResult, IndexVerdict, StatementEffect, StatementRole, WriteCounters,
};
use crate::record::index::{IndexForeignKey, IndexSubject};
use crate::units::format_duration;

use super::counted::{Others, Usage};

/// A gain that is smaller than this share of the time in statements is not worth an index.
const GAIN_MIN: f64 = 0.05;
/// Statements that are named in a reason.
const NAMED_MAX: usize = 3;
/// More pairs cannot be compared: then longer slices are the way.
const PAIRS_MAX: f64 = 64.0;

/// What is known of an index.
pub(super) struct Evidence<'a> {
    /// Whether it would be new; else it is there.
    pub(super) is_added: bool,
    pub(super) subject: &'a IndexSubject,
    /// What it does, by itself where that was measured.
    pub(super) effect: Option<&'a IndexEffectInfo>,
    pub(super) usage: &'a Usage,
    /// Whether a statement of the mix deletes or updates rows to which a foreign key of the table refers.
    pub(super) is_checked: bool,
    pub(super) others: &'a Others,
    /// How long a round of slices took, in seconds.
    pub(super) round_s: Option<f64>,
}

impl Evidence<'_> {
    /// Whether a statement used it, or may have: by the plans; where these do not tell, or where foreign keys are checked, by what the
    /// server counted, and where nobody counts that it may have been.
    fn is_used(&self) -> bool {
        let is_told = self.usage.is_known && !self.is_checked;
        !self.usage.by.is_empty() || !is_told && self.counted() != Some(0)
    }

    /// Scans, or entries that were read where nobody counts scans: checks of foreign keys are not among those.
    fn counted(&self) -> Option<u64> {
        self.usage.scans.or(self.usage.entries_read.filter(|_| !self.is_checked))
    }
}

/// What was decided.
pub(super) struct Decided {
    pub(super) verdict: IndexVerdict,
    pub(super) reasons: Vec<String>,
}

/// Whether it is worth it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    Yes,
    No,
    Open,
}

pub(super) fn decide(evidence: &Evidence<'_>) -> Decided {
    let mut reasons = Vec::new();
    let worth = worth(evidence, &mut reasons);
    reasons.extend(more(evidence));
    let verdict = match (worth, evidence.is_added) {
        (Worth::Yes, true) => IndexVerdict::Add,
        (Worth::No, true) => IndexVerdict::DoNotAdd,
        (Worth::Yes, false) => IndexVerdict::Keep,
        (Worth::No, false) => IndexVerdict::Drop,
        (Worth::Open, _) => IndexVerdict::Inconclusive,
    };
    Decided { verdict, reasons }
}

fn worth(evidence: &Evidence<'_>, reasons: &mut Vec<String>) -> Worth {
    if let Some(twin) = &evidence.others.duplicate_of {
        reasons.push(format!("{twin} is made alike and answers the same searches"));
        return Worth::No;
    }
    if let Some(why) = &evidence.subject.required {
        reasons.push(format!("{why}; in the arm without it, it was kept up and hidden from the planner"));
        return Worth::Yes;
    }
    if let Some(key) = evidence.subject.foreign_keys.iter().find(|key| needs(key)) {
        reasons.push(cascade(evidence.subject, key));
        return Worth::Yes;
    }
    let Some(effect) = evidence.effect.filter(|effect| effect.pairs > 0) else {
        reasons.push("no pair of slices was measured whole".to_owned());
        return Worth::Open;
    };
    match effect.gain_us {
        Some(gain) => by_gain(evidence, effect, gain, reasons),
        None if !evidence.is_used() => {
            let looks = match evidence.usage.scans {
                None | Some(0) => String::new(),
                Some(scans) => format!(" (its {scans} scans are the planner's own looks at its ends)"),
            };
            reasons.push(format!("no statement of the mix used it: the planner never chose it{looks}"));
            reasons.extend(cost(effect));
            Worth::No
        }
        None => by_absence(evidence, effect, reasons),
    }
}

/// Whether the schema itself says that rows here are looked up by it.
fn needs(key: &IndexForeignKey) -> bool {
    key.other_index.is_none() && (is_cascade(key) || key.changes_on_update)
}

fn is_cascade(key: &IndexForeignKey) -> bool {
    ["cascade", "set null", "set default"].contains(&key.on_delete.as_str())
}

fn cascade(subject: &IndexSubject, key: &IndexForeignKey) -> String {
    let what = if is_cascade(key) {
        format!("ON DELETE {}", key.on_delete.to_uppercase())
    } else {
        "ON UPDATE".to_owned()
    };
    format!(
        "the foreign key {} looks rows of {} up by it ({what}), and no other index serves that: without it, each row that goes \
         from {} costs a scan of all of {}",
        key.name, subject.table, key.parent, subject.table
    )
}

/// Statements win: whether by more than is paid.
fn by_gain(
    evidence: &Evidence<'_>,
    effect: &IndexEffectInfo,
    gain: (f64, f64),
    reasons: &mut Vec<String>,
) -> Worth {
    let won: Vec<&StatementEffect> =
        effect.statements.iter().filter(|of| of.role == StatementRole::Won).collect();
    reasons.push(format!("faster with it: {}", named(&won)));
    let tax = effect.tax_us.unwrap_or((0.0, 0.0));
    let per_transaction =
        format!("for each transaction of the mix {} to {} are won", us(gain.0.max(0.0)), us(gain.1));
    let paid = match tax {
        (_, high) if high <= 0.0 => "nothing is seen to be paid".to_owned(),
        (low, high) if low <= 0.0 => format!("at most {} are paid by writes", us(high)),
        (low, high) => format!("{} to {} are paid by writes", us(low), us(high)),
    };
    reasons.push(format!("{per_transaction}, {paid}"));
    reasons.extend(cost(effect));
    if gain.0 > tax.1 {
        return Worth::Yes;
    }
    if gain.1 < tax.0 {
        return Worth::No;
    }
    let middle = f64::midpoint(gain.0, gain.1) - f64::midpoint(tax.0, tax.1);
    let half = f64::midpoint(gain.1 - gain.0, tax.1 - tax.0);
    reasons.push(settle(evidence, effect, half / middle.abs()));
    Worth::Open
}

/// No statement is seen to win, though it was used.
fn by_absence(evidence: &Evidence<'_>, effect: &IndexEffectInfo, reasons: &mut Vec<String>) -> Worth {
    let is_sure = !evidence.usage.by.is_empty() || evidence.counted().is_some();
    let used = if is_sure { "it was used" } else { "whether it was used is not known" };
    reasons.push(format!("{used}, and no statement is seen to be faster with it"));
    for what in [Counted::Blocks, Counted::Rows] {
        let named = effect.statements.iter().filter_map(|of| fewer(of, what));
        let named: Vec<String> = named.take(NAMED_MAX).collect();
        if !named.is_empty() {
            reasons.push(format!(
                "fewer {} by {}: too few executions to tell by their times",
                what.words(),
                named.join(", ")
            ));
        }
    }
    reasons.extend(cost(effect));
    // The most that can be won, as a share of all time in statements.
    let most = effect.net.as_ref().and_then(|net| Some(1.0 - net.interval?.0));
    match most {
        Some(most) if most < GAIN_MIN => {
            reasons.push(format!(
                "with it all statements together take at most {:.1} % less time",
                most.max(0.0) * 100.0
            ));
            Worth::No
        }
        Some(most) => {
            reasons.push(format!(
                "a gain of up to {:.0} % of the time in statements cannot be ruled out",
                most * 100.0
            ));
            reasons.push(settle(evidence, effect, most / GAIN_MIN));
            Worth::Open
        }
        None => {
            reasons.push(settle(evidence, effect, 1.0));
            Worth::Open
        }
    }
}

/// What the server counts of each execution. It does not depend on the mood of the machine.
#[derive(Clone, Copy)]
enum Counted {
    Blocks,
    Rows,
}

impl Counted {
    fn words(self) -> &'static str {
        match self {
            Self::Blocks => "blocks are touched",
            Self::Rows => "rows are examined",
        }
    }

    fn of(self, effect: &StatementEffect) -> Option<(f64, f64)> {
        match self {
            Self::Blocks => effect.blocks,
            Self::Rows => effect.rows_examined,
        }
    }
}

/// A statement that has at most half of what is counted with it.
fn fewer(of: &StatementEffect, what: Counted) -> Option<String> {
    let (without, with) = what.of(of).filter(|_| of.touches)?;
    (with <= without / 2.0).then(|| format!("{} ({with:.1} in place of {without:.1})", of.statement))
}

/// How long it takes to tell, where intervals are `too_wide` times as wide as they may be. They shrink with the root of the pairs.
fn settle(evidence: &Evidence<'_>, effect: &IndexEffectInfo, too_wide: f64) -> String {
    let pairs = (f64::from(effect.pairs) * too_wide.powi(2) * 1.2).max(8.0).ceil();
    if !pairs.is_finite() || pairs > PAIRS_MAX {
        return format!(
            "more than {PAIRS_MAX} pairs would be needed to tell: measure longer slices with --slice, on a machine that does \
             nothing else"
        );
    }
    let time = evidence.round_s.map_or_else(String::new, |round_s| {
        // Whole seconds: what is expected is not more precise.
        let time = std::time::Duration::from_secs_f64((round_s * pairs).ceil().clamp(0.0, 1e9));
        format!(" (about {})", format_duration(time))
    });
    format!("--pairs {pairs:.0}{time} would be expected to tell")
}

/// What writes pay, by what the server counted.
fn cost(effect: &IndexEffectInfo) -> Option<String> {
    let counters = effect.counters.as_ref()?;
    if let Some(whole) = &counters.whole {
        let (without, with) = whole.log_bytes;
        let pages = whole.page_changes.map_or_else(String::new, |(without, with)| {
            format!(", and {with:.1} changes of pages in place of {without:.1}")
        });
        return Some(format!(
            "each transaction that writes to the table makes {with:.0} bytes of redo log in place of {without:.0}{pages}"
        ));
    }
    let (without, with, bytes) = per_write(counters)?;
    let hot = counters.hot_fraction.filter(|(without, with)| (without - with).abs() >= 0.005).map_or_else(
        String::new,
        |(without, with)| {
            format!(
                "; {:.0} % of the updates are heap-only in place of {:.0} %",
                with * 100.0,
                without * 100.0
            )
        },
    );
    let growth = if counters.growth_bytes > 0 {
        format!("; it grew by {} kB meanwhile", counters.growth_bytes / 1024)
    } else {
        String::new()
    };
    Some(format!(
        "each write to the table makes {with:.2} WAL records in place of {without:.2} ({bytes:+.0} bytes){hot}{growth}"
    ))
}

/// WAL records of a write without and with it, and by how many bytes of WAL it grows beside full-page images' chance.
fn per_write(counters: &WriteCounters) -> Option<(f64, f64, f64)> {
    let calls: f64 = counters.statements.iter().map(|of| of.calls as f64).sum();
    if calls <= 0.0 {
        return None;
    }
    let mean = |value: fn(&crate::model::WriteCounter) -> f64| {
        counters.statements.iter().map(|of| value(of) * of.calls as f64).sum::<f64>() / calls
    };
    Some((
        mean(|of| of.wal_records.0),
        mean(|of| of.wal_records.1),
        mean(|of| of.wal_bytes.1 - of.wal_bytes.0),
    ))
}

/// What else is to be known of it.
fn more(evidence: &Evidence<'_>) -> Vec<String> {
    let mut more = Vec::new();
    let Evidence { others, subject, .. } = evidence;
    if let Some(longer) = &others.covered_by {
        more.push(format!("{longer} begins with the same columns and answers its searches as well"));
    }
    if !others.covers.is_empty() {
        more.push(format!(
            "it begins with all columns of {}, and would answer its searches as well",
            others.covers.join(", ")
        ));
    }
    if let (false, Some(scans)) = (evidence.is_added, subject.scans_before.filter(|scans| *scans > 0)) {
        more.push(format!(
            "before the experiment the server had counted {scans} scans of it: work that is not in this mix may need it"
        ));
    }
    // What is required has said so already.
    let told = |key: &&IndexForeignKey| !needs(key) && subject.required.is_none();
    for key in subject.foreign_keys.iter().filter(told) {
        more.push(match &key.other_index {
            Some(other) => format!("the foreign key {} is served by {other} as well", key.name),
            None => format!(
                "the foreign key {} is checked by it: without it, a delete from {} scans {}",
                key.name, key.parent, subject.table
            ),
        });
    }
    let bystanders: Vec<&StatementEffect> = evidence
        .effect
        .iter()
        .flat_map(|effect| &effect.statements)
        .filter(|of| of.role == StatementRole::Bystander)
        .collect();
    if !bystanders.is_empty() {
        more.push(format!("statements on other tables changed as well: {}", named(&bystanders)));
    }
    more
}

/// `login.orders_of_customer (×0.04), …`
fn named(statements: &[&StatementEffect]) -> String {
    let shown: Vec<String> = statements
        .iter()
        .take(NAMED_MAX)
        .map(|of| format!("{}{}", of.statement, of.difference.ratio.map_or_else(String::new, change)))
        .collect();
    let rest = statements.len().saturating_sub(NAMED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// `(12 times as fast)`, `(−31 %)`
fn change(ratio: f64) -> String {
    if ratio > 0.0 && ratio <= 0.5 {
        return format!(" ({:.1} times as fast)", 1.0 / ratio);
    }
    format!(" ({:+.0} %)", (ratio - 1.0) * 100.0)
}

fn us(value: f64) -> String {
    if value >= 1000.0 { format!("{:.2} ms", value / 1000.0) } else { format!("{value:.1} µs") }
}

/// The answer in a few sentences.
pub(super) fn answer(indexes: &[IndexResult]) -> String {
    let one = |index: &IndexResult| {
        let verdict = match index.verdict {
            IndexVerdict::Add => "add it",
            IndexVerdict::DoNotAdd => "do not add it",
            IndexVerdict::Keep => "keep it",
            IndexVerdict::Drop => "drop it",
            IndexVerdict::Inconclusive => "this measurement cannot tell",
        };
        let why = index.reasons.first().map_or_else(String::new, |reason| format!(", since {reason}"));
        let why = if index.verdict == IndexVerdict::Inconclusive { String::new() } else { why };
        format!("{}: {verdict}{why}.", index.label)
    };
    indexes.iter().map(one).collect::<Vec<_>>().join(" ")
}
