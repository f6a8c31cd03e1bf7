//! Who waited for whom as a graph: waiters on the left, roots on the right, whoever stood between them in the middle. Drawn without a
//! script, so that it stands in print as well.

use super::html::escape;
use crate::model::{LockEpisodeInfo, LockInfo};
use crate::report::format::{count, percent, whole_us};
use crate::report::text::{cut, sanitise};

/// Episodes that are drawn, the costliest: more lines are a tangle.
const EPISODES_MAX: usize = 10;
/// Columns of a name in its box.
const NAME_MAX: usize = 34;
/// Sizes in pixels of the drawing.
const WIDTH: f64 = 920.0;
const BOX_WIDTH: f64 = 250.0;
const BOX_HEIGHT: f64 = 46.0;
const ROW: f64 = 62.0;
/// Thickness of the line of the longest waiting.
const LINE_MAX: f64 = 9.0;

/// One box.
struct Node {
    name: String,
    /// What stands below the name.
    said: String,
    waited_us: u64,
}

/// The boxes above each other at one distance from the left.
#[derive(Default)]
struct Column {
    nodes: Vec<Node>,
}

impl Column {
    /// The place of the box of that name, which is made where there is none.
    fn place(&mut self, name: &str, said: &str, waited_us: u64) -> usize {
        if let Some(place) = self.nodes.iter().position(|node| node.name == name) {
            self.nodes[place].waited_us += waited_us;
            return place;
        }
        self.nodes.push(Node { name: name.to_owned(), said: said.to_owned(), waited_us });
        self.nodes.len() - 1
    }

    /// The middle of a box, from above, where the columns are so many rows high.
    fn y(&self, place: usize, rows: usize) -> f64 {
        let free = (rows - self.nodes.len()) as f64 * ROW / 2.0;
        free + (place as f64 + 0.5) * ROW
    }
}

/// A line from one box to another.
struct Edge {
    from: (usize, usize),
    to: (usize, usize),
    us: u64,
    words: String,
}

/// The graph; nothing where nobody was seen waiting.
pub(super) fn draw(locks: &LockInfo) -> String {
    let shown = &locks.episodes[..locks.episodes.len().min(EPISODES_MAX)];
    if shown.is_empty() {
        return String::new();
    }
    let mut columns = [Column::default(), Column::default(), Column::default()];
    let mut edges: Vec<Edge> = Vec::new();
    for episode in shown {
        add(&mut columns, &mut edges, episode);
    }
    let rows = columns.iter().map(|column| column.nodes.len()).max().unwrap_or(1);
    let rest = locks.episodes.len() - shown.len();
    let more = match rest {
        0 => String::new(),
        1 => " One kind of wait more is in the table.".to_owned(),
        many => format!(" {} kinds of waits more are in the table.", count(many as u64)),
    };
    let words: Vec<String> = edges.iter().take(3).map(|edge| edge.words.clone()).collect();
    format!(
        "<figure class=\"graph\"><figcaption><h3>Lock chains</h3><p class=\"note\">Who waited, on the left, and at the other end who held the \
         lock, and what that one was doing. The thicker a line, the longer the wait; each wait is charged once, to its root.{more}</p></figcaption>\n\
         <div class=\"scroll\" role=\"region\" aria-label=\"Lock chains\" tabindex=\"0\"><svg class=\"locks\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{words}\">\n{drawn}</svg></div></figure>\n",
        height = rows as f64 * ROW,
        words = escape(&words.join("; ")),
        drawn = drawing(&columns, &edges, rows),
    )
}

fn add(columns: &mut [Column; 3], edges: &mut Vec<Edge>, episode: &LockEpisodeInfo) {
    let us = episode.wait_us_total;
    let waiter = columns[0].place(&episode.waiter, "", us);
    let root = columns[2].place(&episode.root, &episode.root_state, us);
    let relation = episode.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
    let share = episode
        .client_share
        .map_or_else(String::new, |share| format!(", {} of the clients' time", percent(share)));
    let words = format!(
        "{} waited {} in {} waits, the longest {}, for {}{relation} of {}{share}",
        episode.waiter,
        whole_us(us),
        count(episode.count),
        whole_us(episode.wait_us_max),
        episode.mode,
        episode.root
    );
    let mut from = (0, waiter);
    if let Some((name, wants)) = between(episode) {
        let to = (1, columns[1].place(&name, &wants, us));
        edges.push(Edge { from, to, us, words: words.clone() });
        from = to;
    }
    edges.push(Edge { from, to: (2, root), us, words });
}

/// Whoever stood between the waiter and the root, the next one only: what it waited for itself.
fn between(episode: &LockEpisodeInfo) -> Option<(String, String)> {
    let links = episode.chain.len().saturating_sub(1);
    if let Some(link) = episode.chain[..links].first() {
        let wants = link.waits_for.as_ref().map_or_else(
            || link.state.clone(),
            |lock| {
                let on = lock.relation.as_ref().map_or_else(String::new, |of| format!(" on {of}"));
                format!("waits for {}{on}", lock.mode)
            },
        );
        return Some((link.who.clone(), wants));
    }
    let other = episode.direct_blockers.iter().find(|name| **name != episode.root)?;
    Some((other.clone(), "waits as well".to_owned()))
}

fn x(column: usize) -> f64 {
    (WIDTH - BOX_WIDTH) / 2.0 * column as f64
}

fn drawing(columns: &[Column; 3], edges: &[Edge], rows: usize) -> String {
    let longest = edges.iter().map(|edge| edge.us).max().unwrap_or(1).max(1) as f64;
    let mut svg = String::new();
    for edge in edges {
        let (from, to) = (x(edge.from.0) + BOX_WIDTH, x(edge.to.0));
        let (above, below) =
            (columns[edge.from.0].y(edge.from.1, rows), columns[edge.to.0].y(edge.to.1, rows));
        let middle = f64::midpoint(from, to);
        // By the root of the share, so that a thin line is still one.
        let width = (LINE_MAX * (edge.us as f64 / longest).sqrt()).max(1.0);
        svg.push_str(&format!(
            "<path class=\"edge\" d=\"M{from:.0} {above:.0}C{middle:.0} {above:.0} {middle:.0} {below:.0} {to:.0} {below:.0}\" \
             stroke-width=\"{width:.1}\"><title>{}</title></path>\n",
            escape(&edge.words)
        ));
    }
    for (place, column) in columns.iter().enumerate() {
        for (row, node) in column.nodes.iter().enumerate() {
            svg.push_str(&boxed(node, x(place), column.y(row, rows), ["waiter", "between", "root"][place]));
        }
    }
    svg
}

fn boxed(node: &Node, x: f64, y: f64, class: &str) -> String {
    let name = cut(&sanitise(&node.name), NAME_MAX);
    let waited = whole_us(node.waited_us);
    let said = match (class, node.said.as_str()) {
        ("waiter", _) => format!("waited {waited}"),
        ("root", "") => format!("kept others {waited}"),
        ("root", state) => format!("{state}; kept others {waited}"),
        (_, said) => said.to_owned(),
    };
    format!(
        "<g class=\"{class}\"><rect x=\"{x:.0}\" y=\"{:.0}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/>\
         <text x=\"{:.0}\" y=\"{:.0}\">{}</text><text class=\"said\" x=\"{:.0}\" y=\"{:.0}\">{}</text></g>\n",
        y - BOX_HEIGHT / 2.0,
        x + 12.0,
        y - 4.0,
        escape(&name),
        x + 12.0,
        y + 14.0,
        escape(&cut(&sanitise(&said), NAME_MAX + 4)),
    )
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::model::LockInfo;
    use crate::report::fixture;

    #[test]
    fn everyone_who_waited_and_every_root_has_one_box() {
        let report = fixture::healthy();
        let locks = &report.stages.last().expect("the fixture has stages").locks;
        let svg = draw(locks);
        let waiters: std::collections::BTreeSet<&str> =
            locks.episodes.iter().take(10).map(|episode| episode.waiter.as_str()).collect();
        assert_eq!(svg.matches("<g class=\"waiter\">").count(), waiters.len(), "{svg}");
        assert!(svg.matches("<path class=\"edge\"").count() >= waiters.len());
    }

    #[test]
    fn without_waits_there_is_no_graph() {
        assert_eq!(draw(&LockInfo::default()), "");
    }
}
