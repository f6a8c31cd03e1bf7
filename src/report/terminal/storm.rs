//! All connections closed at once, and how they came back: a line or two among what is said of the pool, and of a study a table.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{Stage, StormInfo};
use crate::report::format::{DASH, count, decimal, duration_us, rate, whole_us};

/// Storms of one size at one load, each figure the worst of the repetitions.
#[derive(Default)]
struct Worst {
    connections: u64,
    in_use: u64,
    /// Whether some were not there again at the end of a stage.
    are_missing: bool,
    returned_after_s: f64,
    acquire_us: u64,
    not_ok: u64,
    create_errors: u64,
}

impl Worst {
    fn add(&mut self, storm: &StormInfo) {
        self.connections = self.connections.max(storm.connections);
        self.in_use = self.in_use.max(storm.in_use);
        self.are_missing |= storm.returned < storm.connections;
        self.returned_after_s = self.returned_after_s.max(storm.returned_after_s.unwrap_or(0.0));
        self.acquire_us = self.acquire_us.max(storm.acquire_us_max);
        self.not_ok = self.not_ok.max(storm.not_ok);
        self.create_errors = self.create_errors.max(storm.create_errors);
    }
}

/// Of a study: what a storm does to pools of each size, side by side.
pub(super) fn by_size(page: &mut Page, stages: &[Stage]) {
    let mut sizes: Vec<((u32, Option<u64>), Worst)> = Vec::new();
    for stage in stages.iter().filter(|stage| stage.measured) {
        let Some(storm) = &stage.storm else { continue };
        // Rates as they were asked for; nothing for clients.
        let rate = stage.load.as_ref().filter(|_| stage.clients.is_none()).map(|load| load.course().max());
        let key = (stage.pool.size, rate.map(f64::to_bits));
        let at = sizes.iter().position(|(of, _)| *of == key).unwrap_or_else(|| {
            sizes.push((key, Worst::default()));
            sizes.len() - 1
        });
        sizes[at].1.add(storm);
    }
    if sizes.is_empty() {
        return;
    }
    // Rates that are not negative are in the order of their bits.
    sizes.sort_by_key(|((size, rate), _)| (rate.is_none(), *rate, *size));
    page.heading("storms", "all connections closed at once; the worst of the repetitions");
    let mut grid = Grid::new(vec![
        Column::number("size"),
        Column::number("at"),
        Column::number("closed"),
        Column::number("in use"),
        Column::number("all back\nafter"),
        Column::number("longest\nwait"),
        Column::number("not ok"),
        Column::number("failed to\nconnect"),
    ]);
    for ((size, rate), worst) in &sizes {
        let back = duration_us(worst.returned_after_s * 1e6);
        grid.row(vec![
            Cell::new(size.to_string()),
            Cell::new(rate.map_or_else(
                || "clients".to_owned(),
                |bits| format!("{}/s", decimal(f64::from_bits(bits), 0)),
            )),
            Cell::new(count(worst.connections)),
            Cell::new(count(worst.in_use)),
            Cell::new(if worst.are_missing { DASH.to_owned() } else { back }),
            Cell::new(whole_us(worst.acquire_us)),
            Cell::new(count(worst.not_ok)),
            Cell::new(count(worst.create_errors)),
        ]);
    }
    page.grid(&grid);
    if sizes.iter().any(|(_, worst)| worst.are_missing) {
        let words = format!("{DASH} not all were made anew: no more were asked for, or could be had");
        page.paragraph(INDENT, Style::Dim, &words);
    }
}

/// What became of it, where there was a storm.
pub(super) fn line(page: &mut Page, stage: &Stage) {
    let Some(storm) = &stage.storm else { return };
    page.labelled(INDENT, "storm", Style::Caution, &begun(storm));
    page.labelled(INDENT, "", Style::Plain, &back(storm));
    page.labelled(INDENT, "", Style::Plain, &harm(storm));
}

fn begun(storm: &StormInfo) -> String {
    format!(
        "at {} all {} were closed at once, {} of them in use",
        duration_us(storm.t_s * 1e6),
        plural(storm.connections, "connection"),
        count(storm.in_use)
    )
}

fn back(storm: &StormInfo) -> String {
    let after = storm.returned_after_s.map(|seconds| duration_us(seconds * 1e6));
    let Some(after) = after else { return "none came back until the end of the stage".to_owned() };
    let each = storm
        .creates_per_s
        .filter(|_| storm.returned > 1)
        .map_or_else(String::new, |per_s| format!(", {} made a second", rate(per_s)));
    if storm.returned >= storm.connections {
        format!("all were back after {after}{each}")
    } else {
        format!(
            "{} of them were back after {after}{each}; no more were asked for, or could be made",
            count(storm.returned)
        )
    }
}

fn harm(storm: &StormInfo) -> String {
    let mut parts =
        vec![format!("the longest wait for a connection until then was {}", whole_us(storm.acquire_us_max))];
    parts.push(match storm.not_ok {
        0 => "no transaction failed in these seconds".to_owned(),
        1 => "1 transaction did not end well in these seconds".to_owned(),
        many => format!("{} transactions did not end well in these seconds", count(many)),
    });
    if storm.create_errors > 0 {
        parts.push(format!("{} attempts to connect failed", count(storm.create_errors)));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PoolInfo;
    use crate::units::Load;

    fn text(storm: StormInfo) -> String {
        let mut page = Page::new(120, false);
        line(&mut page, &Stage { storm: Some(storm), ..Stage::default() });
        page.finish()
    }

    #[test]
    fn of_a_study_the_worst_storms_of_each_size_stand_side_by_side() {
        let stage = |size: u32, returned: u64, after_s: f64, not_ok: u64| {
            let storm = StormInfo {
                connections: 4,
                in_use: 2,
                returned,
                returned_after_s: Some(after_s),
                acquire_us_max: 310_000,
                not_ok,
                ..StormInfo::default()
            };
            let pool = PoolInfo { size, ..PoolInfo::default() };
            Stage {
                measured: true,
                pool,
                load: Some(Load::rate(200.0)),
                storm: Some(storm),
                ..Stage::default()
            }
        };
        let mut page = Page::new(80, false);
        by_size(&mut page, &[stage(8, 4, 0.2, 3), stage(2, 3, 0.1, 0), stage(8, 4, 0.4, 1)]);
        let text = page.finish();
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("200/s")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[0].trim_start().starts_with("2 ") && rows[0].contains(DASH), "{text}");
        assert!(rows[1].trim_start().starts_with("8 ") && rows[1].contains("400 ms"), "{text}");
        assert!(text.contains("not all were made anew"), "{text}");
        let mut page = Page::new(80, false);
        by_size(&mut page, &[Stage::default()]);
        assert_eq!(page.finish().trim(), "");
    }

    #[test]
    fn it_says_whether_all_are_back() {
        let storm = StormInfo {
            t_s: 10.0,
            connections: 8,
            in_use: 5,
            returned: 8,
            returned_after_s: Some(0.25),
            creates_per_s: Some(32.0),
            acquire_us_max: 310_000,
            not_ok: 5,
            ..StormInfo::default()
        };
        let all = text(storm.clone());
        assert!(all.contains("all 8 connections were closed at once, 5 of them in use"), "{all}");
        assert!(all.contains("all were back after 250 ms, 32.0 made a second"), "{all}");
        assert!(all.contains("was 310 ms; 5 transactions did not end well"), "{all}");
        let some = text(StormInfo { returned: 6, ..storm.clone() });
        assert!(some.contains("6 of them were back after"), "{some}");
        let none = text(StormInfo { returned: 0, returned_after_s: None, ..storm });
        assert!(none.contains("none came back"), "{none}");
    }
}
