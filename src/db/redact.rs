//! Takes passwords out of texts that people and files get to see, such as a command line.

const HIDDEN: &str = "***";

/// The text without the passwords of its URLs (`scheme://user:password@…`) and of its `password=…` parameters.
///
/// It rather hides too much than too little: a password with an unescaped `@` or `/` is hidden to its end.
#[must_use]
pub fn redact(text: &str) -> String {
    redact_parameters(&redact_urls(text))
}

fn redact_urls(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'))
            .unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        match (url.find(':'), url.rfind('@')) {
            (Some(colon), Some(at)) if colon < at => {
                safe.push_str(&url[..=colon]);
                safe.push_str(HIDDEN);
                safe.push_str(&url[at..]);
            }
            _ => safe.push_str(url),
        }
        rest = behind;
    }
    safe.push_str(rest);
    safe
}

/// `password=…`, `PGPASSWORD=…` and `passwd=…`, up to the next separator, or up to the closing quote.
fn redact_parameters(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut safe = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(start) = ["password", "passwd"]
        .iter()
        .filter_map(|word| lower[from..].find(word).map(|at| from + at + word.len()))
        .min()
    {
        safe.push_str(&text[from..start]);
        from = start;
        let spaces = text[start..].len() - text[start..].trim_start().len();
        let Some(value) = text[start + spaces..].strip_prefix('=') else { continue };
        let value = value.trim_start();
        let value_at = text.len() - value.len();
        safe.push_str(&text[start..value_at]);
        safe.push_str(HIDDEN);
        from = value_at + value_length(value);
    }
    safe.push_str(&text[from..]);
    safe
}

fn value_length(value: &str) -> usize {
    match value.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let mut escaped = false;
            for (at, character) in value.char_indices().skip(1) {
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    _ if character == quote => return at + 1,
                    _ => {}
                }
            }
            value.len()
        }
        _ => value.find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'')).unwrap_or(value.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_and_everything_else_stays() {
        let cases = [
            ("postgres://u:pw@h:5432/d", "postgres://u:***@h:5432/d"),
            ("run -t postgres://u:pw@h/d --json -", "run -t postgres://u:***@h/d --json -"),
            ("postgres://u@h:5432/d?sslmode=require", "postgres://u@h:5432/d?sslmode=require"),
            ("postgres://localhost:5432/d", "postgres://localhost:5432/d"),
            ("postgres://u:p@w/o?rd@h/d", "postgres://u:***@h/d"),
            ("mysql://root:x@h 'postgresql://a:b@c/d'", "mysql://root:***@h 'postgresql://a:***@c/d'"),
            (
                "postgres://h/d?user=u&password=pw&sslmode=disable",
                "postgres://h/d?user=u&password=***&sslmode=disable",
            ),
            ("host=h password='p \\' w' dbname=d", "host=h password=*** dbname=d"),
            ("PGPASSWORD=pw dbdyno run", "PGPASSWORD=*** dbdyno run"),
            ("Password = pw x", "Password = *** x"),
            ("password authentication failed", "password authentication failed"),
            ("ÄÖ postgres://ü:ß@h/d", "ÄÖ postgres://ü:***@h/d"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected, "{text}");
        }
    }
}
