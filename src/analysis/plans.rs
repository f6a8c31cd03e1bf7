//! Plans: what was seen of them in each stage, where they changed, and what of that a person should know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    Finding, GenericPlanInfo, PlanChangeInfo, PlanInfo, Report, Severity, Stage, StatementInfo,
};
use crate::record::plan::{PlanCacheMode, PlanClass, PlanSurvey, SeenPlan, ToldPlan};
use crate::units::{Protocol, Stamp, StatementId};

use super::findings::finding;

/// Shapes of one run that are kept in full.
const TOLD_MAX: usize = 5_000;
/// Plans of one statement and class, one after the other, that a stage keeps apart.
const SPELLS_MAX: usize = 200;
/// Statements with a changed plan that have a finding each.
const CHANGED_MAX: usize = 5;
/// Statements that a finding about several of them names.
const NAMED_MAX: usize = 4;
/// What the server counts the making of a plan as: so many operators for each relation, and as many once more
/// (`cached_plan_cost` of `src/backend/utils/cache/plancache.c`).
const OPERATORS_PER_RELATION: f64 = 1000.0;
/// Share of the time of all statements below which it does not matter how a statement is executed.
const MATTERS_FROM: f64 = 0.01;
/// The values that nearly all executions have: of the two a statement has one.
const OFTEN: [PlanClass; 2] = [PlanClass::Common, PlanClass::Typical];

/// What was told of the plans of a run, whichever stage it was told in.
#[derive(Default)]
pub(super) struct PlanBook {
    told: BTreeMap<(StatementId, String), Arc<ToldPlan>>,
    unexplained: BTreeMap<StatementId, String>,
}

impl PlanBook {
    /// Takes what a survey tells for the first time.
    pub(super) fn take(&mut self, survey: &PlanSurvey) {
        for told in &survey.told {
            if self.told.len() < TOLD_MAX {
                let key = (told.statement, told.shape.clone());
                self.told.entry(key).or_insert_with(|| Arc::new(told.clone()));
            }
        }
        for seen in &survey.seen {
            self.unexplained.remove(&seen.statement);
        }
        for unexplained in &survey.unexplained {
            self.unexplained.insert(unexplained.statement, unexplained.reason.clone());
        }
    }
}

/// The plans of one stage.
#[derive(Default)]
pub(super) struct StagePlans {
    spells: BTreeMap<(StatementId, PlanClass), Vec<Spell>>,
    unexplained: BTreeMap<StatementId, String>,
    cpu_operator_cost: Option<f64>,
}

/// A time in which a statement had one plan.
struct Spell {
    shape: String,
    /// The same without regard to which partitions are read, where any is.
    kind: Option<String>,
    told: Option<Arc<ToldPlan>>,
    cost: Option<f64>,
    first: Stamp,
    last: Stamp,
    cause: Option<String>,
    /// Of generic plans, as it was last.
    plan_cache_mode: Option<PlanCacheMode>,
}

impl Spell {
    /// What it is compared by.
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(&self.shape)
    }

    /// The plan in one line; its hash where the words were lost.
    fn summary(&self) -> &str {
        self.told.as_ref().map_or(&self.shape, |told| &told.summary)
    }
}

impl StagePlans {
    /// Takes a survey that was there at `at`.
    pub(super) fn add(&mut self, survey: &PlanSurvey, at: Stamp, book: &PlanBook) {
        for seen in &survey.seen {
            self.see(seen, at, book);
        }
        self.unexplained.clone_from(&book.unexplained);
        self.cpu_operator_cost = survey.cpu_operator_cost.or(self.cpu_operator_cost);
    }

    fn see(&mut self, seen: &SeenPlan, at: Stamp, book: &PlanBook) {
        let spells = self.spells.entry((seen.statement, seen.class)).or_default();
        let is_full = spells.len() >= SPELLS_MAX;
        match spells.last_mut() {
            Some(last) if last.shape == seen.shape => {
                last.last = last.last.max(at);
                last.plan_cache_mode = seen.plan_cache_mode.or(last.plan_cache_mode);
            }
            _ if is_full => {}
            _ => spells.push(Spell {
                shape: seen.shape.clone(),
                kind: seen.kind.clone(),
                told: book.told.get(&(seen.statement, seen.shape.clone())).cloned(),
                cost: seen.cost,
                first: at,
                last: at,
                cause: seen.cause.clone(),
                plan_cache_mode: seen.plan_cache_mode,
            }),
        }
    }

    fn of(&self, statement: StatementId) -> impl Iterator<Item = (PlanClass, &Vec<Spell>)> {
        let range = (statement, PlanClass::Common)..=(statement, PlanClass::Generic);
        self.spells.range(range).map(|((_, class), spells)| (*class, spells))
    }

    /// The plans of one statement, the one that was seen first first.
    pub(super) fn infos(&self, statement: StatementId, begun_at: Stamp) -> Vec<PlanInfo> {
        let mut infos: Vec<PlanInfo> = Vec::new();
        for (class, spells) in self.of(statement) {
            for spell in spells {
                let seconds = |at: Stamp| (at - begun_at).as_secs_f64();
                let at = infos.iter().position(|info| info.shape == spell.shape).unwrap_or_else(|| {
                    infos.push(PlanInfo {
                        shape: spell.shape.clone(),
                        kind: spell.kind.clone(),
                        summary: spell.summary().to_owned(),
                        text: spell.told.as_ref().map(|told| told.text.clone()),
                        json: spell.told.as_ref().and_then(|told| told.json.clone()),
                        cost: spell.cost,
                        first_seen_s: seconds(spell.first),
                        ..PlanInfo::default()
                    });
                    infos.len() - 1
                });
                let info = &mut infos[at];
                if !info.classes.iter().any(|known| known == class.as_str()) {
                    info.classes.push(class.as_str().to_owned());
                }
                info.first_seen_s = info.first_seen_s.min(seconds(spell.first));
                info.last_seen_s = info.last_seen_s.max(seconds(spell.last));
            }
        }
        infos.sort_by(|a, b| a.first_seen_s.total_cmp(&b.first_seen_s));
        infos
    }

    /// Why the statement has no plan.
    pub(super) fn why_none(&self, statement: StatementId) -> Option<String> {
        self.unexplained.get(&statement).cloned()
    }

    /// What a session weighs at its sixth execution, with the plans that were seen last. It knows the mean of its own first five
    /// executions, nearly all of which have values that are drawn often: rare ones do not weigh in. The server counts every relation
    /// of the statement, this the nodes that read one: never more.
    pub(super) fn generic(&self, statement: StatementId) -> Option<GenericPlanInfo> {
        let last = |class| self.spells.get(&(statement, class)).and_then(|spells| spells.last());
        let generic = last(PlanClass::Generic)?;
        let often = OFTEN.into_iter().find_map(last)?;
        let mut custom =
            [PlanClass::Common, PlanClass::Rare, PlanClass::Typical].into_iter().filter_map(last);
        let scans = often.told.as_ref().map_or(0, |told| told.scans);
        let custom_cost_mean =
            often.cost? + OPERATORS_PER_RELATION * self.cpu_operator_cost? * f64::from(scans + 1);
        let cost = generic.cost?;
        Some(GenericPlanInfo {
            differs: custom.all(|spell| spell.kind() != generic.kind()),
            cost,
            custom_cost_mean,
            is_chosen: match generic.plan_cache_mode {
                Some(PlanCacheMode::ForceCustom) => false,
                Some(PlanCacheMode::ForceGeneric) => true,
                Some(PlanCacheMode::Auto) | None => cost < custom_cost_mean,
            },
            plan_cache_mode: generic.plan_cache_mode.map(|mode| mode.as_str().to_owned()),
        })
    }

    /// Plans that became others, in the order of time. `name` is that of a statement.
    pub(super) fn changes(
        &self,
        begun_at: Stamp,
        name: impl Fn(StatementId) -> Option<String>,
    ) -> Vec<PlanChangeInfo> {
        let mut changes: Vec<PlanChangeInfo> = Vec::new();
        for ((statement, class), spells) in &self.spells {
            let Some(statement) = name(*statement) else { continue };
            for two in spells.windows(2) {
                let [from, to] = two else { continue };
                if from.kind() == to.kind() {
                    continue;
                }
                let change = PlanChangeInfo {
                    t_s: (to.first - begun_at).as_secs_f64(),
                    statement: statement.clone(),
                    classes: vec![class.as_str().to_owned()],
                    from_shape: from.shape.clone(),
                    from: from.summary().to_owned(),
                    to_shape: to.shape.clone(),
                    to: to.summary().to_owned(),
                    cause: to.cause.clone(),
                };
                match changes.iter_mut().find(|known| is_same(known, &change)) {
                    Some(known) => known.classes.extend(change.classes),
                    None => changes.push(change),
                }
            }
        }
        changes.sort_by(|a, b| a.t_s.total_cmp(&b.t_s));
        changes
    }
}

/// The same change, of other values.
fn is_same(one: &PlanChangeInfo, other: &PlanChangeInfo) -> bool {
    one.statement == other.statement
        && one.t_s.to_bits() == other.t_s.to_bits()
        && (&one.from_shape, &one.to_shape) == (&other.from_shape, &other.to_shape)
}

/// Leaves the text of a plan in the first stage of a report that has it.
pub(super) fn tell_once(stages: &mut [Stage]) {
    let mut told: BTreeSet<(String, String, String)> = BTreeSet::new();
    for statement in stages.iter_mut().flat_map(|stage| &mut stage.statements) {
        for plan in &mut statement.plans {
            let key = (statement.transaction.clone(), statement.name.clone(), plan.shape.clone());
            if !told.insert(key) {
                (plan.text, plan.json) = (None, None);
            }
        }
    }
}

/// What a person should know of the plans.
pub(super) fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = changed(report);
    findings.extend(depends_on_values(report));
    findings.extend(generic_differs(report));
    findings
}

fn measured(report: &Report) -> impl Iterator<Item = &Stage> {
    report.stages.iter().filter(|stage| stage.measured)
}

/// One finding for each statement, with its first change.
fn changed(report: &Report) -> Vec<Finding> {
    let changes: Vec<(&Stage, &PlanChangeInfo)> = measured(report)
        .flat_map(|stage| stage.plan_changes.iter().map(move |change| (stage, change)))
        .collect();
    let mut statements: Vec<&str> = Vec::new();
    for (_, change) in &changes {
        if !statements.contains(&change.statement.as_str()) {
            statements.push(&change.statement);
        }
    }
    let mut findings = Vec::new();
    for name in statements.iter().take(CHANGED_MAX) {
        let mut own = changes.iter().filter(|(_, change)| change.statement == *name);
        if let Some((stage, first)) = own.next() {
            findings.push(changed_plan(stage, first, own.count()));
        }
    }
    if statements.len() > CHANGED_MAX
        && let Some(last) = findings.last_mut()
    {
        let others = statements[CHANGED_MAX..].join(", ");
        last.evidence.push_str(&format!("; the plans of {others} changed as well"));
    }
    findings
}

fn changed_plan(stage: &Stage, change: &PlanChangeInfo, further: usize) -> Finding {
    let cause =
        change.cause.as_deref().unwrap_or("no index, size or statistics of its tables was seen to change");
    let classes = change.classes.join(", ");
    let more = if further > 0 { format!("; {further} more in this run") } else { String::new() };
    finding(
        "plan-changed",
        Severity::Warning,
        format!("the plan of {} changed at {:.1} s of stage {}", change.statement, change.t_s, stage.name),
        format!("{cause}: {} → {} ({classes}){more}", change.from, change.to),
        "times before and behind that moment are those of two different plans",
        remedy(change.cause.as_deref()),
    )
}

fn remedy(cause: Option<&str>) -> &'static str {
    let cause = cause.unwrap_or_default();
    if cause.contains("index") && (cause.contains("dropped") || cause.contains("invalid")) {
        "create the index again if the statement needs it (CREATE INDEX CONCURRENTLY); --full shows both plans"
    } else if cause.contains("analysed") {
        "--full shows both plans: where the new one is worse, give its columns more statistics (ALTER TABLE … ALTER COLUMN … SET \
         STATISTICS, CREATE STATISTICS), and ANALYZE before you measure"
    } else {
        "--full shows both plans with their costs; measure again with the state that production has"
    }
}

/// Statements of the measured stages that take a part of the time that matters and to which `tell` has something to say, each once.
fn tell_of<'a>(
    report: &'a Report,
    tell: impl Fn(&'a StatementInfo) -> Option<String>,
) -> (Vec<String>, usize) {
    let mut known: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut told = Vec::new();
    let statements = || measured(report).flat_map(|stage| &stage.statements);
    let least_us = statements().filter_map(executed_us).sum::<f64>() * MATTERS_FROM;
    // What is sent in pipelines has no time of its own: it may matter.
    let matters = |statement: &&StatementInfo| executed_us(statement).is_none_or(|us| us >= least_us);
    for statement in statements().filter(matters) {
        if known.contains(&(statement.transaction.as_str(), statement.name.as_str())) {
            continue;
        }
        if let Some(words) = tell(statement) {
            known.insert((&statement.transaction, &statement.name));
            told.push(format!("{}.{}: {words}", statement.transaction, statement.name));
        }
    }
    let all = told.len();
    told.truncate(NAMED_MAX);
    (told, all)
}

/// Time of all executions together, in microseconds.
fn executed_us(statement: &StatementInfo) -> Option<f64> {
    statement.execute_us.mean.map(|mean| mean * statement.execute_us.count as f64)
}

/// The plan of a class that was seen last.
fn last_of<'a>(statement: &'a StatementInfo, class: PlanClass) -> Option<&'a PlanInfo> {
    let is_of = |plan: &&'a PlanInfo| plan.classes.iter().any(|known| known == class.as_str());
    statement.plans.iter().filter(is_of).max_by(|a, b| a.last_seen_s.total_cmp(&b.last_seen_s))
}

fn evidence(told: &[String], all: usize) -> String {
    let more = if all > told.len() { format!("; and {} more", all - told.len()) } else { String::new() };
    format!("{}{more}", told.join("; "))
}

fn depends_on_values(report: &Report) -> Option<Finding> {
    let (told, all) = tell_of(report, |statement| {
        let (common, rare) = (last_of(statement, PlanClass::Common)?, last_of(statement, PlanClass::Rare)?);
        (common.kind() != rare.kind())
            .then(|| format!("{} for common values, {} for rare ones", common.summary, rare.summary))
    });
    (all > 0).then(|| {
        finding(
            "plan-depends-on-values",
            Severity::Info,
            "statements that the server executes differently for common and for rare values",
            evidence(&told, all),
            "their times are a mixture of two plans, and shift with the values that are asked for",
            "none needed while both are fast; where one is not, look at the values for which it is made (--full shows both plans)",
        )
    })
}

/// One finding for those that sessions change to, and one for those that they are made to keep to from the first execution on.
fn generic_differs(report: &Report) -> Vec<Finding> {
    if report.sessions.protocol != Protocol::Prepared {
        return Vec::new();
    }
    let told = |is_forced: bool| tell_of(report, |statement| generic_in_place(statement, is_forced));
    let put = |(told, all): (Vec<String>, usize), title: &str, effect: &str, remedy: &str| {
        (all > 0).then(|| {
            let evidence = evidence(&told, all);
            finding("generic-plan-differs", Severity::Info, title, evidence, effect, remedy)
        })
    };
    let changed_to = put(
        told(false),
        "sessions change to another plan after five executions",
        "the server finds a plan that looks at no value cheaper than plans for each execution: from its sixth execution on, a session \
         keeps to it",
        "compare with --a 'set plan_cache_mode=force_custom_plan' in dbdyno ab; set it for the role where that is faster",
    );
    let forced = put(
        told(true),
        "sessions are made to keep to a plan that looks at no value, and it is another one",
        "plan_cache_mode=force_generic_plan: the server weighs no costs, and makes no plan for the values of an execution",
        "compare with --a 'set plan_cache_mode=auto' in dbdyno ab; take the setting back where that is faster",
    );
    changed_to.into_iter().chain(forced).collect()
}

/// The generic plan that sessions keep to and the one in whose place it stands, where they differ.
fn generic_in_place(statement: &StatementInfo, is_forced: bool) -> Option<String> {
    let generic = statement.generic_plan.as_ref().filter(|generic| generic.differs && generic.is_chosen)?;
    let forced = Some(PlanCacheMode::ForceGeneric.as_str());
    if (generic.plan_cache_mode.as_deref() == forced) != is_forced {
        return None;
    }
    let plan = last_of(statement, PlanClass::Generic)?;
    let custom = OFTEN.into_iter().find_map(|class| last_of(statement, class))?;
    Some(format!(
        "{} (cost {:.0}) in place of {} ({:.0} with planning)",
        plan.summary, generic.cost, custom.summary, generic.custom_cost_mean
    ))
}
