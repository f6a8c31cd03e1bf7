//! The Universal Scalability Law: X(N) = λN ÷ (1 + σ(N − 1) + κN(N − 1)), with N connections busy at a time (Gunther 1993, "A
//! simple capacity model for massively parallel transaction systems"; "Guerrilla Capacity Planning", 2007, chapter 6). σ is the
//! share of the work that is done one after the other, κ what each pair of connections costs to agree with each other.
//!
//! The fit is nonlinear least squares on the logarithm, since noise is a share of the throughput. Intervals come from the
//! profile of the sum of squares: a value belongs to the interval when the best fit with it is not worse than Student's t
//! allows (Bates and Watts 1988, "Nonlinear Regression Analysis and Its Applications", section 6.1). Whether the law describes
//! the curve at all is asked by the lack of fit against the scatter of the repetitions (Draper and Smith 1998, "Applied
//! Regression Analysis", section 2.1). Pure.

use crate::analysis::student;
use crate::model::{Estimate, ScalingLaw};

use super::estimate::quantile;

/// Parameters: ln λ, σ, κ.
const PARAMETERS: usize = 3;
/// Different sizes that it takes: one more than there are parameters.
const SIZES_MIN: usize = PARAMETERS + 1;
/// Steps of one fit. It converges within ten.
const STEPS_MAX: usize = 100;
/// Relative change of the sum of squares below which a further step changes nothing.
const CONVERGED: f64 = 1e-12;
/// Times that an end of an interval is looked for farther out before the interval counts as open.
const EXPANSIONS_MAX: usize = 60;
/// Probability below which the curve is not that of the law.
const MISFIT: f64 = 0.01;

type Vector = [f64; PARAMETERS];

/// One repetition at one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    /// Mean connections busy.
    pub(super) busy: f64,
    pub(super) per_s: f64,
}

/// The fit to the repetitions of each size; nothing below four sizes, or where no curve of the law comes near.
pub(super) fn fit(sizes: &[Vec<Observed>]) -> Option<ScalingLaw> {
    let all: Vec<Observed> = sizes.iter().flatten().copied().collect();
    let is_usable = |one: &Observed| one.busy > 0.0 && one.per_s > 0.0;
    let levels = sizes.iter().filter(|repeats| !repeats.is_empty()).count();
    if levels < SIZES_MIN || !all.iter().all(is_usable) {
        return None;
    }
    let freedom = (all.len() - PARAMETERS) as f64;
    let best = minimise(&all, start(&all), None)?;
    let intervals = [0, 1, 2].map(|parameter| interval(&all, &best, parameter, freedom));
    // What cannot be below zero stays there; the rest of the curve is then fitted anew.
    let shown = [2, 1].into_iter().fold(best.clone(), |shown, parameter| {
        if shown.at[parameter] >= 0.0 {
            return shown;
        }
        let mut from = shown.at;
        from[parameter] = 0.0;
        minimise(&all, from, Some(parameter)).unwrap_or(shown)
    });
    let share = |parameter: usize| {
        let mean = shown.at[parameter].max(0.0);
        let (low, high) = intervals[parameter];
        Estimate { mean, low: low.map(|low| low.clamp(0.0, mean)), high: high.map(|high| high.max(mean)) }
    };
    let (low, high) = intervals[0];
    let contention = share(1);
    let coherence = share(2);
    let is_told = intervals[2].0.is_some_and(|low| low > 0.0);
    let peak = (is_told && contention.mean < 1.0).then(|| ((1.0 - contention.mean) / coherence.mean).sqrt());
    Some(ScalingLaw {
        per_s_of_one: Estimate { mean: shown.at[0].exp(), low: low.map(f64::exp), high: high.map(f64::exp) },
        contention,
        coherence,
        peak_busy: peak,
        peak_per_s: peak.map(|busy| (shown.at[0] + shape(shown.at, busy).unwrap_or(0.0)).exp()),
        misfit: (shown.squares / all.len() as f64).sqrt().exp_m1(),
        describes: lack_of_fit(sizes, shown.squares).is_none_or(|probability| probability >= MISFIT),
    })
}

#[derive(Clone, Debug)]
struct Minimum {
    at: Vector,
    squares: f64,
}

/// ln(X ÷ λ); nothing where the law has no value.
fn shape(at: Vector, busy: f64) -> Option<f64> {
    let below = 1.0 + at[1] * (busy - 1.0) + at[2] * busy * (busy - 1.0);
    (below > 0.0).then(|| busy.ln() - below.ln())
}

fn squares(all: &[Observed], at: Vector) -> Option<f64> {
    all.iter().map(|one| Some((one.per_s.ln() - at[0] - shape(at, one.busy)?).powi(2))).sum()
}

/// N ÷ X is linear in 1, N − 1 and N(N − 1): the solution for errors that are a share of it.
fn start(all: &[Observed]) -> Vector {
    let mut system = [[0.0; PARAMETERS + 1]; PARAMETERS];
    for one in all {
        let weight = one.per_s / one.busy;
        let row =
            [1.0, one.busy - 1.0, one.busy * (one.busy - 1.0), one.busy / one.per_s].map(|x| x * weight);
        for (i, line) in system.iter_mut().enumerate() {
            for (j, cell) in line.iter_mut().enumerate() {
                *cell += row[i] * row[j];
            }
        }
    }
    let solved = solve(system).filter(|solution| solution[0] > 0.0);
    let solved = solved.map(|[a, b, c]| [-a.ln(), b / a, c / a]).filter(|at| squares(all, *at).is_some());
    solved.unwrap_or_else(|| {
        let rate = all.iter().map(|one| one.per_s / one.busy).fold(0.0, f64::max);
        [rate.ln(), 0.05, 0.0]
    })
}

/// The least sum of squares from `at` on, by Levenberg's and Marquardt's method (Marquardt 1963, SIAM Journal 11, 431–441), with
/// one parameter held where it is if wanted.
fn minimise(all: &[Observed], mut at: Vector, held: Option<usize>) -> Option<Minimum> {
    let mut now = squares(all, at)?;
    let mut damping = 1e-3;
    for _ in 0..STEPS_MAX {
        let Some((next, squares)) = step(all, at, held, &mut damping, now) else { break };
        let gained = now - squares;
        (at, now) = (next, squares);
        if gained <= CONVERGED * now {
            break;
        }
    }
    Some(Minimum { at, squares: now })
}

/// A step that lessens the sum of squares; nothing when there is none.
fn step(
    all: &[Observed],
    at: Vector,
    held: Option<usize>,
    damping: &mut f64,
    now: f64,
) -> Option<(Vector, f64)> {
    let mut normal = [[0.0; PARAMETERS + 1]; PARAMETERS];
    for one in all {
        let below = 1.0 + at[1] * (one.busy - 1.0) + at[2] * one.busy * (one.busy - 1.0);
        let residual = one.per_s.ln() - at[0] - shape(at, one.busy)?;
        let mut slopes = [1.0, -(one.busy - 1.0) / below, -one.busy * (one.busy - 1.0) / below];
        if let Some(held) = held {
            slopes[held] = 0.0;
        }
        for i in 0..PARAMETERS {
            for j in 0..PARAMETERS {
                normal[i][j] += slopes[i] * slopes[j];
            }
            normal[i][PARAMETERS] += slopes[i] * residual;
        }
    }
    for (index, line) in normal.iter_mut().enumerate() {
        if line[index] <= 0.0 {
            // Held, or without any influence: it stays where it is.
            line[index] = 1.0;
        }
    }
    while *damping < 1e12 {
        let mut damped = normal;
        for (index, line) in damped.iter_mut().enumerate() {
            line[index] *= 1.0 + *damping;
        }
        let moved = solve(damped).map(|by| [at[0] + by[0], at[1] + by[1], at[2] + by[2]]);
        let better =
            moved.and_then(|next| Some((next, squares(all, next)?))).filter(|(_, then)| *then <= now);
        if better.is_some() {
            *damping = (*damping / 10.0).max(1e-12);
            return better;
        }
        *damping *= 10.0;
    }
    None
}

/// Gauss's elimination with the largest pivot. Nothing where the system has no single solution.
fn solve(mut system: [[f64; PARAMETERS + 1]; PARAMETERS]) -> Option<Vector> {
    for column in 0..PARAMETERS {
        let pivot = (column..PARAMETERS)
            .max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()))?;
        system.swap(column, pivot);
        if system[column][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        let pivot = system[column];
        for (row, line) in system.iter_mut().enumerate() {
            if row != column {
                let times = line[column] / pivot[column];
                line.iter_mut().zip(&pivot).for_each(|(cell, above)| *cell -= times * above);
            }
        }
    }
    let solution = [0, 1, 2].map(|row| system[row][PARAMETERS] / system[row][row]);
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

/// Both ends of the profile interval of a parameter; an end that is nowhere is absent.
fn interval(all: &[Observed], best: &Minimum, parameter: usize, freedom: f64) -> (Option<f64>, Option<f64>) {
    let variance = best.squares / freedom;
    let here = best.at[parameter];
    if variance < 1e-24 {
        return (Some(here), Some(here));
    }
    let limit = best.squares + variance * quantile(freedom).powi(2);
    let is_inside = |value: f64, from: &mut Vector| {
        let mut at = *from;
        at[parameter] = value;
        let minimum = minimise(all, at, Some(parameter)).filter(|minimum| minimum.squares <= limit);
        if let Some(minimum) = &minimum {
            *from = minimum.at;
        }
        minimum.is_some()
    };
    let end = |side: f64| {
        let mut from = best.at;
        let (mut inside, mut step) = (here, here.abs().max(1e-6) * 0.02);
        let mut outside = None;
        for _ in 0..EXPANSIONS_MAX {
            let value = inside + side * step;
            if !is_inside(value, &mut from) {
                outside = Some(value);
                break;
            }
            inside = value;
            step *= 1.6;
        }
        let mut outside = outside?;
        while (outside - inside).abs() > 1e-4 * (inside - here).abs().max(here.abs() * 1e-3).max(1e-12) {
            let middle = f64::midpoint(inside, outside);
            // No number lies between the two any more.
            if !(inside.min(outside) < middle && middle < inside.max(outside)) {
                break;
            }
            if is_inside(middle, &mut from) { inside = middle } else { outside = middle }
        }
        Some(inside)
    };
    (end(-1.0), end(1.0))
}

/// How likely so large a gap between the law and the mean of each size is, given the scatter of the repetitions. Nothing without
/// repetitions.
fn lack_of_fit(sizes: &[Vec<Observed>], squares: f64) -> Option<f64> {
    let (mut pure, mut freedom) = (0.0, 0.0);
    for repeats in sizes.iter().filter(|repeats| !repeats.is_empty()) {
        let count = repeats.len() as f64;
        let mean = repeats.iter().map(|one| one.per_s.ln()).sum::<f64>() / count;
        pure += repeats.iter().map(|one| (one.per_s.ln() - mean).powi(2)).sum::<f64>();
        freedom += count - 1.0;
    }
    let levels = sizes.iter().filter(|repeats| !repeats.is_empty()).count();
    let between = (levels - PARAMETERS) as f64;
    if freedom < 1.0 || pure <= 0.0 {
        return None;
    }
    let ratio = ((squares - pure).max(0.0) / between) / (pure / freedom);
    Some(student::f_beyond(ratio, between, freedom))
}

#[cfg(test)]
mod tests;
