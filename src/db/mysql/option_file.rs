//! `~/.my.cnf`, as far as it says where a server is and as whom to connect. Knows its grammar and no other file.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::db::secret::Secret;

/// Groups that clients of this family read. What stands later in the file holds, whatever the group.
const GROUPS: [&str; 3] = ["client", "client-mariadb", "mysql"];

/// What the file says.
#[derive(Default)]
pub(super) struct OptionFile {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) ssl_mode: Option<String>,
    pub(super) ssl_ca: Option<PathBuf>,
    /// What was left out.
    pub(super) warnings: Vec<String>,
}

impl OptionFile {
    /// Reads the file. One that is absent says nothing; one that cannot be read, or that everybody may change, says nothing either
    /// and gives a warning.
    pub(super) fn read(path: &Path) -> Self {
        let left_out = |why: String| Self {
            warnings: vec![format!("the option file {} was left out: {why}", path.display())],
            ..Self::default()
        };
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::default(),
            Err(error) => return left_out(error.to_string()),
            Ok(metadata) if metadata.mode() & 0o002 != 0 => {
                return left_out("every user may change it (chmod 600 makes it private)".to_owned());
            }
            Ok(_) => {}
        }
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => left_out(error.to_string()),
        }
    }

    fn parse(text: &str, path: &Path) -> Self {
        let mut file = Self::default();
        let mut counts = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("!include") {
                let warning =
                    format!("`{line}` in {} was left out: other files are not read", path.display());
                file.warnings.push(warning);
            } else if let Some(rest) = line.strip_prefix('[') {
                let group = rest.split(']').next().unwrap_or_default().trim();
                counts = GROUPS.iter().any(|known| known.eq_ignore_ascii_case(group));
            } else if counts && !line.is_empty() && !line.starts_with(['#', ';']) {
                file.put(line);
            }
        }
        file
    }

    /// `name = value`; a name without a value says nothing here.
    fn put(&mut self, line: &str) {
        let Some((name, value)) = line.split_once('=') else { return };
        let value = value_of(value.trim());
        match name.trim().replace('_', "-").as_str() {
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "host" => self.host = Some(value),
            "port" => self.port = Some(value),
            "ssl-mode" => self.ssl_mode = Some(value),
            "ssl-ca" => self.ssl_ca = Some(value.into()),
            _ => {}
        }
    }
}

/// Without its quotes, or up to a comment; `\n`, `\t`, `\s` and their like are what they stand for.
fn value_of(text: &str) -> String {
    let quoted = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let mut value = String::with_capacity(text.len());
    let mut rest = text.chars().skip(usize::from(quoted.is_some()));
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some('b') => value.push('\u{8}'),
                Some('s') => value.push(' '),
                Some('\\') | None => value.push('\\'),
                Some(quote) if Some(quote) == quoted => value.push(quote),
                // Any other backslash is one.
                Some(other) => value.extend(['\\', other]),
            },
            _ if Some(character) == quoted => return value,
            '#' if quoted.is_none() => return value.trim_end().to_owned(),
            _ => value.push(character),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> OptionFile {
        OptionFile::parse(text, Path::new("f"))
    }

    #[test]
    fn only_the_groups_of_clients_count() {
        let file = parse(
            "user = nobody\n[mysqld]\nport=1\nuser=mysql\n[client]\n# a comment\nuser=me\nport = 3307 # behind\n\
             [client-mariadb]\nssl_ca=/etc/ca.pem\n[mysqldump]\nhost=other\n[mysql]\nhost=db.example\nquick\n",
        );
        assert_eq!(file.user.as_deref(), Some("me"));
        assert_eq!(file.port.as_deref(), Some("3307"));
        assert_eq!(file.host.as_deref(), Some("db.example"));
        assert_eq!(file.ssl_ca, Some(PathBuf::from("/etc/ca.pem")));
        assert!(file.password.is_none() && file.warnings.is_empty());
    }

    #[test]
    fn values_are_taken_as_they_were_meant() {
        for (written, meant) in [
            ("plain", "plain"),
            ("\"p#ss 'word\"", "p#ss 'word"),
            ("'a\"b' # why", "a\"b"),
            ("a\\sb\\\\c", "a b\\c"),
            ("'it\\'s'", "it's"),
            ("C:\\dir", "C:\\dir"),
            ("", ""),
        ] {
            let file = parse(&format!("[client]\npassword={written}\n"));
            assert_eq!(file.password.as_ref().map(Secret::reveal), Some(meant), "{written}");
        }
    }

    #[test]
    fn other_files_are_left_out_and_said_so() {
        let file = parse("!includedir /etc/my.cnf.d\n[client]\nuser=me\n");
        assert_eq!(file.user.as_deref(), Some("me"));
        assert!(file.warnings[0].contains("!includedir /etc/my.cnf.d"), "{:?}", file.warnings);
    }

    #[test]
    fn a_file_that_everybody_may_change_says_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".my.cnf");
        assert!(OptionFile::read(&path).warnings.is_empty(), "none is no mistake");
        std::fs::write(&path, "[client]\nuser=me\n").expect("writable");
        assert_eq!(OptionFile::read(&path).user.as_deref(), Some("me"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("ours");
        let file = OptionFile::read(&path);
        assert!(file.user.is_none() && file.warnings[0].contains("chmod 600"), "{:?}", file.warnings);
    }
}
