//! Mistakes in what a user wrote, collected and shown all at once: where, what was found, what was expected, what to do.

mod render;

use std::ops::Range;
use std::path::PathBuf;

/// One file that mistakes point into.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the user named it.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Index of the file in [`Mistakes::sources`]; absent when no place in a file is to blame.
    pub source: Option<usize>,
    /// Byte range in that file.
    pub span: Range<usize>,
    /// What is wrong, lower case, no full stop: `` unknown key `wieght` ``.
    pub message: String,
    /// Said at the place itself: `expected a number`.
    pub label: String,
    /// What to do: `` did you mean `weight`? ``
    pub help: Option<String>,
}

/// All mistakes of one reading, in the order they were found.
#[derive(Clone, Debug, Default)]
pub struct Mistakes {
    sources: Vec<Source>,
    items: Vec<Mistake>,
}

impl Mistakes {
    /// Registers a file and returns its index.
    pub fn add_source(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> usize {
        self.sources.push(Source { path: path.into(), text: text.into() });
        self.sources.len() - 1
    }

    /// The text of a registered file.
    #[must_use]
    pub fn text(&self, source: usize) -> &str {
        &self.sources[source].text
    }

    /// Adds a mistake.
    pub fn push(&mut self, mistake: Mistake) {
        self.items.push(mistake);
    }

    /// Adds a mistake at a place.
    pub fn at(
        &mut self,
        source: usize,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(Mistake { source: Some(source), span, message: message.into(), label: label.into(), help });
    }

    /// Brings them into the order of the files and of the places in them, which is how they are mended; what was found
    /// twice stays once.
    pub fn sort(&mut self) {
        self.items.sort_by_key(|mistake| (mistake.source, mistake.span.start));
        self.items.dedup();
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn items(&self) -> &[Mistake] {
        &self.items
    }

    /// The text that is shown to the user, with the lines around each place.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        render::render(&self.sources, &self.items, colour)
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}

/// The candidate that a misspelt `name` most likely means, if one is close enough to be worth suggesting.
#[must_use]
pub fn likely<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
