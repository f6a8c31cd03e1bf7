//! `~/.my.cnf`, as far as it says where a server is and as whom to connect. Knows its grammar and no other file.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::db::secret::Secret;

/// Groups that clients of this family read. What stands later in the file holds, whatever the group.
const GROUPS: [&str; 5] = ["client", "client-server", "client-mariadb", "mysql", "mariadb-client"];
/// What decides how other clients connect and has no effect here: it must not seem to.
const NOT_READ: [&str; 8] =
    ["ssl-capath", "ssl-cert", "ssl-cipher", "ssl-crl", "ssl-crlpath", "ssl-key", "socket", "tls-version"];

/// What the file says.
#[derive(Default)]
pub(super) struct OptionFile {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    /// MySQL's.
    pub(super) ssl_mode: Option<String>,
    /// MariaDB's, which knows no mode: whether TLS is asked for.
    pub(super) ssl: Option<bool>,
    /// MariaDB's: whether the certificate must be a trusted one and name the host.
    pub(super) ssl_verify_server_cert: Option<bool>,
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
                file.put(line, path);
            }
        }
        file
    }

    /// `name = value`, or a name alone, which says something of what is on or off only.
    fn put(&mut self, line: &str, path: &Path) {
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value_of(value.trim()))),
            None => (line, None),
        };
        let name = name.replace('_', "-");
        let name = name.strip_prefix("loose-").unwrap_or(&name);
        if NOT_READ.contains(&name) {
            self.leave_out(
                name,
                path,
                "dbdyno connects by TCP, shows no certificate, and trusts whom ssl-ca names",
            );
            return;
        }
        let (off, switch) = match name.strip_prefix("skip-").or_else(|| name.strip_prefix("disable-")) {
            Some(switch) => (true, switch),
            None => (false, name.strip_prefix("enable-").unwrap_or(name)),
        };
        if let Some(place) = self.switch(switch) {
            match truth(value.as_deref()) {
                Some(on) => *place = Some(on != off),
                None => self.leave_out(name, path, "its value is neither on nor off"),
            }
            return;
        }
        let Some(value) = value else { return };
        match name {
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "host" => self.host = Some(value),
            "port" => self.port = Some(value),
            "ssl-mode" => self.ssl_mode = Some(value),
            "ssl-ca" => self.ssl_ca = Some(value.into()),
            _ => {}
        }
    }

    /// What a name switches on and off.
    fn switch(&mut self, name: &str) -> Option<&mut Option<bool>> {
        match name {
            "ssl" => Some(&mut self.ssl),
            "ssl-verify-server-cert" => Some(&mut self.ssl_verify_server_cert),
            _ => None,
        }
    }

    fn leave_out(&mut self, name: &str, path: &Path, why: &str) {
        self.warnings.push(format!("`{name}` in {} was left out: {why}", path.display()));
    }
}

/// A value of what is on or off. A name alone is on.
fn truth(value: Option<&str>) -> Option<bool> {
    let Some(value) = value else { return Some(true) };
    let is = |words: [&str; 3]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    match (is(["1", "on", "true"]), is(["0", "off", "false"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
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
    fn what_mariadb_says_of_tls_is_on_or_off() {
        for (lines, ssl, verified) in [
            ("ssl", Some(true), None),
            ("skip-ssl", Some(false), None),
            ("ssl = OFF", Some(false), None),
            ("disable-ssl=0", Some(true), None),
            ("ssl-verify-server-cert", None, Some(true)),
            ("loose_ssl_verify_server_cert = 1\nenable-ssl", Some(true), Some(true)),
            ("ssl-verify-server-cert\nskip-ssl-verify-server-cert", None, Some(false)),
            ("quick", None, None),
        ] {
            for group in ["client", "client-server", "mariadb-client"] {
                let file = parse(&format!("[{group}]\n{lines}\n"));
                assert_eq!((file.ssl, file.ssl_verify_server_cert), (ssl, verified), "{lines}");
                assert!(file.warnings.is_empty(), "{:?}", file.warnings);
            }
        }
    }

    #[test]
    fn what_has_no_effect_is_said_so() {
        for line in ["ssl-cert=/me.pem", "ssl_key = /me.key", "socket=/run/mysqld/mysqld.sock", "ssl=perhaps"]
        {
            let file = parse(&format!("[client]\n{line}\nuser=me\n"));
            let name = line.split('=').next().unwrap_or_default().trim().replace('_', "-");
            let [warning] = file.warnings.as_slice() else { panic!("{line}: {:?}", file.warnings) };
            assert!(warning.contains(&format!("`{name}`")), "{warning}");
            assert_eq!((file.user.as_deref(), file.ssl), (Some("me"), None));
        }
        assert!(parse("[mysqld]\nsocket=/run/mysqld/mysqld.sock\n").warnings.is_empty());
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
