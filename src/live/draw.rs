//! The screen as a pure function of a snapshot: stage and time left, throughput, response times, the pool, what sessions wait for,
//! who holds whom up, errors. Nothing here knows a terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use super::snapshot::{Chain, Point, Snapshot, StageNow};
use crate::model::metric::Unit;
use crate::report::{count, cut, decimal, rate, width};
use crate::units::format_duration;

/// Lines of a curve at least; what a higher terminal has to spare goes half to the curves.
const CURVE_MIN: u16 = 5;
const CURVE_MAX: u16 = 16;
/// Lines of the tables of waits and locks, with their frame, before transactions have a table as well.
const TABLES_MIN: u16 = 10;
/// Columns of a transaction's name.
const NAME_MAX: usize = 32;
/// What goes on, before what ended.
const NOW: &str = "now ";
/// Seconds over which errors count as new.
const LATELY_S: usize = 10;

/// What is drawn.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Whether the picture stands still while the measurement goes on.
    pub(super) paused: bool,
    /// Whether colours may be used.
    pub(super) colour: bool,
}

impl View<'_> {
    fn style(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let spare = frame.area().height.saturating_sub(24);
    let curve = (CURVE_MIN + spare / 2).min(CURVE_MAX) + 2;
    let [head, stage, curves, pool, tables, errors, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(curve),
        Constraint::Length(1),
        Constraint::Min(5),
        Constraint::Length(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    title(frame, head, view);
    progress(frame, stage, view);
    let thirds = Constraint::Ratio(1, 3);
    let [throughput, median, tail] = Layout::horizontal([thirds, thirds, thirds]).areas(curves);
    draw_curves(frame, [throughput, median, tail], view);
    draw_pool(frame, pool, view);
    let named = view.snapshot.run.as_ref().map_or(0, |run| run.transactions.len());
    let wanted = u16::try_from(named).unwrap_or(u16::MAX).saturating_add(3);
    let tables = if named > 0 && tables.height >= wanted.saturating_add(TABLES_MIN) {
        let parts = [Constraint::Min(TABLES_MIN), Constraint::Length(wanted)];
        let [tables, transactions] = Layout::vertical(parts).areas(tables);
        draw_transactions(frame, transactions, view);
        tables
    } else {
        tables
    };
    let halves = [Constraint::Percentage(34), Constraint::Percentage(66)];
    let [waits, locks] = Layout::horizontal(halves).areas(tables);
    draw_waits(frame, waits, view);
    draw_locks(frame, locks, view);
    draw_errors(frame, errors, view);
    draw_keys(frame, keys, view);
}

fn title(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let text = match &view.snapshot.run {
        Some(run) => format!("dbdyno {}  {} on {}  run {}", run.kind, run.workload, run.server, run.id),
        None => "dbdyno".to_owned(),
    };
    let text = cut(&text, usize::from(area.width));
    frame.render_widget(Paragraph::new(Line::styled(text, Style::new().add_modifier(Modifier::BOLD))), area);
}

/// `[2/5] normal  42/60 s, 18 s left`
fn progress(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let Some(stage) = &view.snapshot.stage else {
        return frame.render_widget(Paragraph::new(cut(&view.snapshot.step, usize::from(area.width))), area);
    };
    let ratio =
        if stage.duration_s > 0.0 { (stage.elapsed_s / stage.duration_s).clamp(0.0, 1.0) } else { 0.0 };
    bar(frame, area, &stage_line(stage), ratio, view.style(Color::Blue));
}

/// Words, and what they say as a bar behind them, as far as there is room for one.
fn bar(frame: &mut Frame<'_>, area: Rect, words: &str, ratio: f64, style: Style) {
    let words = cut(words, usize::from(area.width));
    let room = u16::try_from(width(&words)).unwrap_or(u16::MAX).saturating_add(2);
    let [left, right] = Layout::horizontal([Constraint::Length(room), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(words), left);
    frame.render_widget(Paragraph::new(Line::styled(blocks(ratio, usize::from(right.width)), style)), right);
}

/// A share of so many columns, to an eighth of one; what is left is shaded, so that the whole is seen as well.
fn blocks(ratio: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio lies between 0 and 1"
    )]
    let eighths = (ratio.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    let filled = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    let left = columns.saturating_sub(width(&filled));
    filled + &"░".repeat(left)
}

fn stage_line(stage: &StageNow) -> String {
    let place = if stage.of < stage.number {
        format!("{}", stage.number)
    } else {
        format!("{}/{}", stage.number, stage.of)
    };
    let what = if stage.measured { "" } else { ", not measured" };
    let time = if stage.drain {
        format!("drain {:.0} s", stage.elapsed_s - stage.duration_s)
    } else {
        let left = (stage.duration_s - stage.elapsed_s).max(0.0);
        let most = if stage.until_steady { "at most " } else { "" };
        format!("{:.0} s of {}, {most}{} left", stage.elapsed_s, short(stage.duration_s), short(left))
    };
    format!("[{place}] {}{what}  {time}", stage.name)
}

/// Whole seconds, as durations are written.
fn short(seconds: f64) -> String {
    format_duration(std::time::Duration::from_secs_f64(seconds.round().max(0.0)))
}

fn draw_curves(frame: &mut Frame<'_>, [throughput, median, tail]: [Rect; 3], view: &View<'_>) {
    let last = view.snapshot.seconds.back().copied().unwrap_or_default();
    let now = format!("{}/s", rate(last.per_s));
    curve(frame, throughput, view, (&format!("throughput {now}"), Color::Green), |point| {
        Some(whole(point.per_s))
    });
    let title = format!("p50 {}", time(last.p50_us));
    curve(frame, median, view, (&title, Color::Cyan), |point| point.p50_us);
    // Below 1,000 a second there is no 99th percentile of a second to speak of.
    let (title, value): (_, fn(&Point) -> Option<u64>) = if last.p99_us.is_some() {
        (format!("p99 {}", time(last.p99_us)), |point| point.p99_us.or(point.max_us))
    } else {
        (format!("longest {}", time(last.max_us)), |point| point.max_us)
    };
    curve(frame, tail, view, (&title, Color::Yellow), value);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is not negative, and saturates"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn curve(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    (title, colour): (&str, Color),
    value: impl Fn(&Point) -> Option<u64>,
) {
    let block = Block::bordered().title(cut(title, usize::from(area.width.saturating_sub(4))));
    let shown = usize::from(block.inner(area).width);
    let all = &view.snapshot.seconds;
    let data: Vec<Option<u64>> = all.iter().skip(all.len().saturating_sub(shown)).map(value).collect();
    frame.render_widget(Sparkline::default().block(block).data(data).style(view.style(colour)), area);
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| Unit::Time.show(us as f64))
}

fn draw_pool(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let last = view.snapshot.seconds.back().copied().unwrap_or_default();
    let size = view.snapshot.stage.as_ref().map_or(0, |stage| stage.connections);
    let of = if size > 0 { format!(" of {size}") } else { String::new() };
    let label = format!("pool: {}{of} busy, {} waiting", decimal(last.busy, 1), decimal(last.waiting, 1))
        .replace('\u{a0}', " ");
    let ratio = if size > 0 { (last.busy / f64::from(size)).clamp(0.0, 1.0) } else { 0.0 };
    // More than one request that waits is a pool that holds somebody up.
    let colour = if last.waiting > 1.0 { Color::Red } else { Color::Blue };
    bar(frame, area, &label, ratio, view.style(colour));
}

/// The lines of a table below a title, as many as there is room for.
fn table(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>, empty: &str) {
    let block = Block::bordered().title(cut(title, usize::from(area.width.saturating_sub(4))));
    let lines = if lines.is_empty() { vec![Line::from(empty.to_owned())] } else { lines };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_waits(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let width = usize::from(area.width.saturating_sub(2));
    let lines = view.snapshot.waits.iter().map(|(event, sessions)| {
        let text = cut(&format!("{sessions:>5.1}  {event}"), width);
        let colour = match event.split(':').next() {
            Some("Lock") => Color::Red,
            Some("IO" | "LWLock") => Color::Yellow,
            _ => Color::Reset,
        };
        Line::styled(text, view.style(colour))
    });
    table(frame, area, "sessions are in", lines.collect(), "nobody looked yet");
}

/// `now 2 s  checkout.take_stock on stock ← psql (foreign), idle in transaction`: those that go on, then those that ended.
fn draw_locks(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let room = usize::from(area.width.saturating_sub(2)).saturating_sub(NOW.len());
    let of = view.snapshot;
    let now = of.waiting.iter().map(|chain| (NOW, chain, view.style(Color::Red)));
    let ended = of.chains.iter().map(|chain| ("    ", chain, Style::new()));
    let lines = now.chain(ended).map(|(when, chain, style)| {
        Line::styled(format!("{when}{}", cut(&chain_line(chain, room), room)), style)
    });
    table(frame, area, "waits for locks, now and in the last 10 s", lines.collect(), "none");
}

/// What goes on of each transaction, on a screen with room for it.
fn draw_transactions(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let of = view.snapshot;
    let names = of.run.as_ref().map_or(&[][..], |run| &run.transactions);
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0).clamp(4, NAME_MAX);
    let line = |name: &str, figures: [String; 5]| {
        let [per_s, mean, ok, bad, retried] = figures;
        let name = cut(name, widest);
        let pad = " ".repeat(widest.saturating_sub(width(&name)));
        format!("{name}{pad} {per_s:>9} {mean:>9} {ok:>12} {bad:>9} {retried:>9}")
    };
    let head = line("", ["per s", "mean", "ok", "not ok", "retries"].map(str::to_owned));
    let mut lines = vec![Line::styled(head, Style::new().add_modifier(Modifier::DIM))];
    lines.extend(names.iter().zip(&of.transactions).map(|(name, totals)| {
        let books = &totals.books;
        let bad = books.closed() - books.ok;
        let mean = totals.mean_us.map_or_else(|| "–".to_owned(), |us| Unit::Time.show(us));
        let figures = [rate(totals.per_s), mean, count(books.ok), count(bad), count(books.retried)];
        let style = if bad > 0 { view.style(Color::Red) } else { Style::new() };
        Line::styled(line(name, figures), style)
    }));
    table(frame, area, "transactions: the last second, and the whole run", lines, "");
}

/// The whole chain where there is room for it, else its two ends: who waits, and who holds all up; where they have no room either,
/// statements without their transactions.
fn chain_line(chain: &Chain, columns: usize) -> String {
    let on = chain.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
    let state = if chain.root_state.is_empty() { String::new() } else { format!(", {}", chain.root_state) };
    let waited = format!("{:>7}", Unit::Time.show(chain.waited_s * 1e6));
    let whole = format!("{waited}  {}{on} ← {}{state}", chain.waiter, chain.blockers.join(" ← "));
    if width(&whole) <= columns {
        return whole;
    }
    let between = if chain.blockers.len() > 1 { " …" } else { "" };
    let root = chain.blockers.last().map_or("?", String::as_str);
    let ends = format!("{waited}  {}{between} ← {root}{state}", chain.waiter);
    if width(&ends) <= columns {
        return ends;
    }
    let bare = |name: &str| name.split_once('.').map_or(name, |(_, statement)| statement).to_owned();
    format!("{waited}  {}{between} ← {}{state}", bare(&chain.waiter), bare(root))
}

fn draw_errors(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let of = view.snapshot;
    let width = usize::from(area.width);
    let codes: Vec<String> =
        of.errors().into_iter().map(|(code, times)| format!("{code} × {}", count(times))).collect();
    let bad = of.not_ok();
    let retried: u64 = of.transactions.iter().map(|totals| totals.books.retried).sum();
    let lately: u64 = of.seconds.iter().rev().take(LATELY_S).map(|point| point.errors).sum();
    let text = match (bad, codes.is_empty()) {
        (0, true) => "errors: none".to_owned(),
        _ => format!(
            "errors: {} not ok, {} of them in the last {LATELY_S} s, {} further tries  {}",
            count(bad),
            count(lately),
            count(retried),
            codes.join("  ")
        ),
    };
    let style = if bad > 0 { view.style(Color::Red) } else { Style::new() };
    let said = of.notes.back().map_or_else(|| of.step.clone(), |note| format!("note: {note}"));
    let lines =
        vec![Line::styled(cut(&text.replace('\u{a0}', " "), width), style), Line::from(cut(&said, width))];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let key = |key: &'static str| Span::styled(key, Style::new().add_modifier(Modifier::REVERSED));
    let pause = if view.paused { " go on  " } else { " pause the view  " };
    let mut spans = vec![
        key(" space "),
        Span::raw(pause),
        key(" n "),
        Span::raw(" end the stage  "),
        key(" q "),
        Span::raw(" stop with a report  "),
    ];
    if view.paused {
        spans
            .push(Span::styled("PAUSED: the measurement goes on", Style::new().add_modifier(Modifier::BOLD)));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::snapshot::fixture;
    use super::*;

    fn drawn(snapshot: &Snapshot, paused: bool, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen in memory");
        terminal.draw(|frame| draw(frame, &View { snapshot, paused, colour: true })).expect("it is drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn a_minute_of_the_shop() {
        for (width, height) in [(80, 24), (200, 60)] {
            insta::assert_snapshot!(
                format!("{width}x{height}"),
                drawn(&fixture::shop(), false, (width, height))
            );
        }
    }

    #[test]
    fn everything_that_matters_stands_on_the_smallest_screen() {
        let text = drawn(&fixture::shop(), true, (80, 24));
        for said in [
            "[2/5] normal",
            "18s left",
            "throughput",
            "p50",
            "p99",
            "6.1 of 8 busy",
            "Lock:transactionid",
            "take_stock",
            "psql (foreign)",
            "now  604 ms",
            "40P01",
            "PAUSED",
            "stop with a report",
        ] {
            assert!(text.contains(said), "{said} is missing:\n{text}");
        }
    }

    #[test]
    fn no_size_and_no_emptiness_breaks_it() {
        for size in [(1, 1), (10, 3), (80, 24), (300, 5), (20, 100)] {
            drawn(&Snapshot::default(), false, size);
            drawn(&fixture::shop(), true, size);
        }
    }
}
