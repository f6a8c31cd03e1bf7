//! Just enough of Rust's grammar to ask which paths a file uses: tokens without comments and strings, `use` trees spread
//! out, `super` resolved, test modules left out. Knows no rule.

use std::path::Path;

/// A path as it stands in the source (`crate::db::Session`, `std::fs::read`), `super` and `self` resolved to `crate::…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPath {
    /// Line of its first segment, from 1.
    pub line: usize,
    /// Its segments; a macro's last one ends in `!`.
    pub segments: Vec<String>,
}

impl UsedPath {
    /// Whether its first segments are these (`["std", "fs"]`).
    pub fn starts_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len() && self.segments.iter().zip(segments).all(|(a, b)| a == b)
    }
}

/// One token and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Line, from 1.
    pub line: usize,
    /// A word, `::`, or one character of punctuation.
    pub text: String,
}

/// The module that a file below `src` is: `["db", "postgres"]` for `src/db/postgres/mod.rs`; empty for the crate's roots.
pub fn module_of(file: &Path) -> Vec<String> {
    let below = file.strip_prefix("src").unwrap_or(file).with_extension("");
    let mut segments: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(segments.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        segments.pop();
    }
    segments
}

/// Every path of the tokens, those of `use` trees one by one.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<UsedPath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at].text) && (at == 0 || tokens[at - 1].text != "::") {
            at = spread(tokens, at, &[], &mut found).max(at + 1);
        } else {
            at += 1;
        }
    }
    for path in &mut found {
        resolve(path, module);
    }
    found
}

/// Reads one path or `use` tree; returns the index after it.
fn spread(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<UsedPath>) -> usize {
    let mut segments = prefix.to_vec();
    let Some(line) = tokens.get(at).map(|token| token.line) else { return at };
    loop {
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("{") if !segments.is_empty() => {
                at += 1;
                while at < tokens.len() && tokens[at].text != "}" {
                    let next = spread(tokens, at, &segments, found);
                    at = next.max(at + 1);
                }
                return at + 1;
            }
            Some(word) if is_word(word) => {
                segments.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("::") => at += 1,
            Some("!") if tokens.get(at + 1).is_none_or(|next| next.text != "=") => {
                if let Some(last) = segments.last_mut() {
                    last.push('!');
                }
                break;
            }
            _ => break,
        }
    }
    // In a tree, `a as b` renames: skip what follows up to the comma.
    if !prefix.is_empty() {
        while at < tokens.len() && tokens[at].text != "," && tokens[at].text != "}" {
            at += 1;
        }
    }
    if segments.len() > prefix.len() {
        found.push(UsedPath { line, segments });
    }
    at
}

/// `self::x` and `super::x` become `crate::…` by the module that the file is.
fn resolve(path: &mut UsedPath, module: &[String]) {
    let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
    let own = path.segments.len() > 1 && path.segments[0] == "self";
    if supers == 0 && !own {
        return;
    }
    let kept = module.len().saturating_sub(supers);
    let base = std::iter::once("crate".to_owned()).chain(module[..kept].iter().cloned());
    path.segments = base.chain(path.segments[supers.max(usize::from(own))..].iter().cloned()).collect();
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens of a file without comments, strings, characters, lifetimes, and items under `#[cfg(test)]`.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let begun = at;
        let c = chars[at];
        if c.is_alphabetic() || c == '_' {
            at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            let word: String = chars[begun..at].iter().collect();
            let prefixes_text = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
            match text_end(&chars, at, word.contains('r')) {
                Some(end) if prefixes_text => at = end,
                _ => tokens.push(Token { line, text: word }),
            }
        } else if let Some(end) = comment_end(&chars, at).or_else(|| text_end(&chars, at, false)) {
            at = end;
        } else if c.is_ascii_digit() {
            at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        } else if c == ':' && chars.get(at + 1) == Some(&':') {
            tokens.push(Token { line, text: "::".into() });
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token { line, text: c.into() });
            }
            at += 1;
        }
        line += chars[begun..at].iter().filter(|c| **c == '\n').count();
    }
    without_tests(&tokens)
}

/// The index after a comment that starts here.
fn comment_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => Some(at + chars[at..].iter().take_while(|c| **c != '\n').count()),
        ('/', Some('*')) => {
            let (mut depth, mut end) = (0, at);
            while end < chars.len() {
                match (chars[end], chars.get(end + 1)) {
                    ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
                    ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
                    _ => end += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            Some(end)
        }
        _ => None,
    }
}

/// The index after a string, a character or a lifetime that starts here.
fn text_end(chars: &[char], at: usize, raw: bool) -> Option<usize> {
    match chars.get(at)? {
        '"' if raw => find(chars, at + 1, "\""),
        '#' if raw => {
            let marks = chars[at..].iter().take_while(|c| **c == '#').count();
            let quoted = chars.get(at + marks) == Some(&'"');
            quoted.then(|| find(chars, at + marks + 1, &format!("\"{}", "#".repeat(marks))))?
        }
        '"' => Some(quoted_end(chars, at + 1, '"')),
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
            Some(quoted_end(chars, at + 1, '\''))
        }
        // A lifetime or a label.
        '\'' => {
            Some(at + 1 + chars[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count())
        }
        _ => None,
    }
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn find(chars: &[char], from: usize, end: &str) -> Option<usize> {
    let end: Vec<char> = end.chars().collect();
    let offset = chars.get(from..)?.windows(end.len()).position(|window| window == end)?;
    Some(from + offset + end.len())
}

/// Leaves out what follows `#[cfg(test)]`: up to its closing brace, or its semicolon.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let marked = tokens.len() - at >= mark.len()
            && mark.iter().zip(&tokens[at..]).all(|(mark, token)| *mark == token.text);
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        at += mark.len();
        while at < tokens.len() {
            match tokens[at].text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => (),
            }
            at += 1;
            if depth == 0 && matches!(tokens[at - 1].text.as_str(), "}" | ";") {
                break;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{module_of, paths, tokens};

    fn used(file: &str, text: &str) -> Vec<String> {
        let module = module_of(file.as_ref());
        paths(&tokens(text), &module)
            .into_iter()
            .filter(|path| path.segments.len() > 1)
            .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
            .collect()
    }

    #[test]
    fn use_trees_are_spread_and_renames_skipped() {
        let text = "use crate::{units::{Seed, Stamp as At},\n  db};\nuse std::io::{self, Write as _};\nfn f() { crate::db::g() }";
        let expected = [
            "1:crate::units::Seed",
            "1:crate::units::Stamp",
            "2:crate::db",
            "3:std::io::self",
            "3:std::io::Write",
            "4:crate::db::g",
        ];
        assert_eq!(used("src/x.rs", text), expected);
    }

    #[test]
    fn super_and_self_are_resolved_by_the_file() {
        assert_eq!(
            used("src/db/postgres/client.rs", "use super::super::secret::Secret;"),
            ["1:crate::db::secret::Secret"]
        );
        assert_eq!(
            used("src/db/mod.rs", "use super::units::Seed; use self::secret::Secret;"),
            ["1:crate::units::Seed", "1:crate::db::secret::Secret"]
        );
    }

    #[test]
    fn comments_strings_and_tests_are_no_code() {
        let text = r##"//! crate::a::b
            /* crate::c::d /* crate::e::f */ crate::g::h */
            const X: &str = "crate::i::j \" crate::k::l"; const Y: &str = r#"crate::m::n " crate::o::p"#;
            fn f<'a>(c: char) -> bool { c == '"' || c == '\'' || c == '\\' || crate::q::r::<'a>(b'"') }
            #[cfg(test)] use crate::s::t;
            #[cfg(test)] mod tests { fn g() { crate::u::v() } }
            fn h() { crate::w::x!() }"##;
        assert_eq!(used("src/x.rs", text), ["4:crate::q::r", "7:crate::w::x!"]);
    }
}
