//! Draws mistakes with the lines they stand in.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, Title};

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
        let help = mistake.help.as_ref().map(|help| wrap(help, WIDTH - HELP_INDENT));
        if let Some(source) = mistake.source.map(|index| &sources[index]) {
            let group = group_at(title, source, mistake);
            let group = group.elements(help.map(|help| Level::HELP.message(help)));
            text.push_str(&renderer.render(&[group]));
        } else {
            text.push_str(&renderer.render(&[Group::with_title(title)]));
            if let Some(help) = help {
                let help = Group::with_title(Level::HELP.secondary_title(help));
                text.push('\n');
                text.push_str(&renderer.render(&[help]));
            }
        }
        text.push_str("\n\n");
    }
    if mistakes.len() > 1 {
        text.push_str(&mistakes.len().to_string());
        text.push_str(" mistakes");
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

fn group_at<'a>(title: Title<'a>, source: &'a Source, mistake: &'a Mistake) -> Group<'a> {
    let span = clamp(mistake.span.clone(), &source.text);
    let fits = label_end(&source.text, &span, &mistake.label) <= WIDTH;
    let place = AnnotationKind::Primary.span(span);
    let place = if fits { place.label(mistake.label.as_str()) } else { place };
    let note = (!fits).then(|| Level::NOTE.message(wrap(&mistake.label, WIDTH - HELP_INDENT)));
    let path = source.path.to_string_lossy().into_owned();
    title.element(Snippet::source(source.text.as_str()).path(path).annotation(place)).elements(note)
}

/// The column at which a label behind the marks of `span` would end: it is never broken.
fn label_end(text: &str, span: &std::ops::Range<usize>, label: &str) -> usize {
    let line = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let gutter = (text[..line].matches('\n').count() + 1).to_string().len() + " | ".len();
    gutter + text[line..span.end].chars().count() + 1 + label.chars().count()
}

/// A span from another version of the file must not panic in the middle of an error message.
fn clamp(span: std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let edge_before = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = edge_before(span.start.min(text.len()));
    start..edge_before(span.end.clamp(start, text.len()))
}

#[cfg(test)]
mod tests {
    use super::super::Mistakes;

    #[test]
    fn a_mistake_without_a_place_has_its_help_below_it() {
        let mut mistakes = Mistakes::default();
        let message = "cannot read `shop/workload.toml`".to_owned();
        let help = Some("`-w` names a folder with a `workload.toml`".to_owned());
        mistakes.push(super::Mistake { source: None, span: 0..0, message, label: String::new(), help });
        insta::assert_snapshot!(mistakes.render(false), @r###"
    error: cannot read `shop/workload.toml`
    help: `-w` names a folder with a `workload.toml`
    "###);
    }

    #[test]
    fn a_place_behind_the_end_of_the_file_is_shown_at_its_end() {
        let mut mistakes = Mistakes::default();
        let source = mistakes.add_source("a.toml", "größe = 1");
        mistakes.at(source, 40..50, "too far", "here", None);
        // In the middle of a character: a span from another version of the file.
        mistakes.at(source, 3..4, "between", "here", None);
        insta::assert_snapshot!(mistakes.render(false), @r###"
    error: too far
     --> a.toml:1:10
      |
    1 | größe = 1
      |          ^ here

    error: between
     --> a.toml:1:3
      |
    1 | größe = 1
      |   ^ here

    2 mistakes
    "###);
    }

    #[test]
    fn long_sentences_are_broken_at_blanks() {
        assert_eq!(super::wrap("one two three", 7), "one two\nthree");
        assert_eq!(super::wrap("unbreakable", 4), "unbreakable");
        assert_eq!(super::wrap("", 4), "");
    }
}
