//! `~/.pgpass`: passwords by host, port, database and user, read and matched as libpq does.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::db::secret::Secret;

/// One line of the file. The first one that matches is used.
#[derive(Clone)]
pub(super) struct Entry {
    /// Host, port, database, user; `None` is the wildcard `*`.
    fields: [Option<String>; 4],
    password: Secret,
}

/// What the file gave.
#[derive(Default)]
pub(super) struct PassFile {
    pub(super) entries: Vec<Entry>,
    /// Why the file was left out, although it is there.
    pub(super) warning: Option<String>,
}

impl PassFile {
    /// Reads the file. One that is absent is empty; one that others may read is left out, with a warning.
    pub(super) fn read(path: &Path) -> Self {
        let Ok(metadata) = std::fs::metadata(path) else { return Self::default() };
        if !metadata.is_file() {
            return Self::left_out(path, "it is not a plain file");
        }
        if metadata.mode() & 0o077 != 0 {
            return Self::left_out(path, "other users may read it (chmod 600 makes it private)");
        }
        let mut text = String::new();
        match std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => Self { entries: parse(&text), warning: None },
            Err(error) => Self::left_out(path, &error.to_string()),
        }
    }

    fn left_out(path: &Path, why: &str) -> Self {
        Self {
            entries: Vec::new(),
            warning: Some(format!("password file {} is ignored: {why}", path.display())),
        }
    }
}

/// The password of the first entry that matches.
pub(super) fn find<'a>(entries: &'a [Entry], wanted: [&str; 4]) -> Option<&'a Secret> {
    let matches = |entry: &&Entry| {
        entry
            .fields
            .iter()
            .zip(wanted)
            .all(|(field, wanted)| field.as_ref().is_none_or(|field| field == wanted))
    };
    entries.iter().find(matches).map(|entry| &entry.password)
}

fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(parse_line).collect()
}

/// A line with fewer than five fields is passed over, as libpq does.
fn parse_line(line: &str) -> Option<Entry> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = split_field(rest)?;
        rest = after;
        Some(if field == "*" { None } else { Some(unescape(field)) })
    };
    let fields = [field()?, field()?, field()?, field()?];
    // Behind the fourth colon everything is the password, colons included.
    (!rest.is_empty()).then(|| Entry { fields, password: Secret::new(unescape(rest)) })
}

/// Splits at the first colon that no backslash protects.
fn split_field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let character = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn lookup(text: &str, wanted: [&str; 4]) -> Option<String> {
        find(&parse(text), wanted).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn the_first_line_that_matches_wins() {
        let text = "# host:port:database:user:password\n\
                    db.example:5432:shop:alice:first\n\
                    db.example:*:*:alice:second\n\
                    *:*:*:*:third\n";
        assert_eq!(lookup(text, ["db.example", "5432", "shop", "alice"]).as_deref(), Some("first"));
        assert_eq!(lookup(text, ["db.example", "5433", "shop", "alice"]).as_deref(), Some("second"));
        assert_eq!(lookup(text, ["other", "5432", "shop", "bob"]).as_deref(), Some("third"));
        assert_eq!(lookup("a:1:b:c:secret\n", ["a", "1", "b", "d"]), None);
    }

    #[test]
    fn backslashes_protect_colons_and_backslashes() {
        assert_eq!(lookup(r"::1:5432:d:u:p", ["::1", "5432", "d", "u"]), None);
        assert_eq!(lookup(r"\:\:1:5432:d:u:p\:w\\x", ["::1", "5432", "d", "u"]).as_deref(), Some(r"p:w\x"));
        assert_eq!(lookup("h:1:d:u:a:b", ["h", "1", "d", "u"]).as_deref(), Some("a:b"));
    }

    #[test]
    fn a_file_that_others_may_read_is_left_out_with_a_warning() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:secret\n").expect("a file in it");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("its mode");
        let open = PassFile::read(&path);
        assert!(open.entries.is_empty());
        let warning = open.warning.expect("a warning");
        assert!(warning.contains("chmod 600") && !warning.contains("secret"), "{warning}");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        let private = PassFile::read(&path);
        assert_eq!(private.entries.len(), 1);
        assert!(private.warning.is_none());
        assert!(PassFile::read(&folder.path().join("absent")).warning.is_none());
    }
}
