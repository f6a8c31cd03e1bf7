//! Draws mistakes with the lines they stand in.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Mistake, Source};

pub(super) fn render(sources: &[Source], mistakes: &[Mistake], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for mistake in mistakes {
        let title = Level::ERROR.primary_title(mistake.message.as_str());
        let mut group = match mistake.source.map(|index| &sources[index]) {
            Some(source) => {
                let span = clamp(mistake.span.clone(), source.text.len());
                group_at(title, source, span, &mistake.label)
            }
            None => Group::with_title(title),
        };
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    text.truncate(text.trim_end().len());
    text
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
