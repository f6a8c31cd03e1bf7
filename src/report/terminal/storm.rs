//! All connections closed at once, and how they came back: a line or two among what is said of the pool.

use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{Stage, StormInfo};
use crate::report::format::{count, duration_us, rate, whole_us};

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

    fn text(storm: StormInfo) -> String {
        let mut page = Page::new(120, false);
        line(&mut page, &Stage { storm: Some(storm), ..Stage::default() });
        page.finish()
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
