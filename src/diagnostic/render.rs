//! Draws mistakes with the lines they stand in.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Mistake, Source};

/// Columns of the narrowest terminal that is looked after.
const WIDTH: usize = 80;
/// What `= help: ` and a three-digit line number take of it.
const HELP_INDENT: usize = 14;

pub(super) fn render(sources: &[Source], mistakes: &[Mistake], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut text = String::new();
    for mistake in mistakes {
        let title = Level::ERROR.primary_title(wrap(&mistake.message, WIDTH - "error: ".len()));
        let mut group = match mistake.source.map(|index| &sources[index]) {
            Some(source) => {
                let span = clamp(mistake.span.clone(), source.text.len());
                group_at(title, source, span, &mistake.label)
            }
            None => Group::with_title(title),
        };
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(wrap(help, WIDTH - HELP_INDENT)));
        }
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    if mistakes.len() > 1 {
        text.push_str(&format!("{} mistakes\n", mistakes.len()));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Breaks a sentence into lines of at most `width` characters, at blanks only.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > width {
            wrapped.push('\n');
            column = 0;
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += len;
    }
    wrapped
}

fn group_at<'a>(
    title: annotate_snippets::Title<'a>,
    source: &'a Source,
    span: std::ops::Range<usize>,
    label: &'a str,
) -> Group<'a> {
    title.element(
        Snippet::source(source.text.as_str())
            .path(source.path.to_string_lossy().into_owned())
            .annotation(AnnotationKind::Primary.span(span).label(label)),
    )
}

/// A span from another version of the file must not panic in the middle of an error message.
fn clamp(span: std::ops::Range<usize>, len: usize) -> std::ops::Range<usize> {
    let start = span.start.min(len);
    start..span.end.clamp(start, len)
}
