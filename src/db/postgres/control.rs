//! What a session is asked for besides statements, in SQL: BEGIN with its modes and settings, COMMIT, ROLLBACK.

use super::bind::put_unnamed;
use super::template::put_quoted;
use super::wire::put;
use crate::db::{Begin, Control, IsolationLevel, SessionOptions};
use crate::sql::quoting::double_quoted;

/// Variables that are lists: one literal with commas in it would be one element.
const LISTS: [&str; 4] =
    ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];

/// The texts of one session.
pub(super) struct Controls {
    /// `SET LOCAL …` of each list of settings that a transaction can have.
    settings: Vec<Vec<String>>,
    /// The same for a transaction that has none of its own.
    always: Vec<String>,
    /// Whether the server can be asked to publish statistics.
    flushes: bool,
}

impl Controls {
    /// `each` is set in every transaction.
    pub(super) fn new(options: &SessionOptions, each: Option<&str>, major_version: u32) -> Self {
        let always: Vec<String> = each.map(str::to_owned).into_iter().collect();
        let settings = options.settings.iter().map(|list| {
            let own = list.iter().map(|(name, value)| set_local(name, value));
            // A transaction's own value of the same setting stands behind it, and holds.
            always.iter().cloned().chain(own).collect()
        });
        // 14 publishes when it sees fit.
        Self { settings: settings.collect(), always, flushes: major_version >= 15 }
    }

    /// Appends it as one Query. False where this server has no way to do it.
    pub(super) fn put_query(&self, what: Control, out: &mut Vec<u8>) -> bool {
        let (Some(text), settings) = self.texts(what) else { return false };
        put(out, b'Q', |out| {
            for part in text {
                out.extend_from_slice(part.as_bytes());
            }
            for set in settings {
                out.extend_from_slice(b"; ");
                out.extend_from_slice(set.as_bytes());
            }
            out.push(0);
        });
        true
    }

    /// Appends it as parts of a pipeline and says how many results they give.
    pub(super) fn put_queued(&self, what: Control, out: &mut Vec<u8>) -> u32 {
        let (Some(text), settings) = self.texts(what) else { return 0 };
        put_unnamed(&text, out);
        for set in settings {
            put_unnamed(&[set], out);
        }
        1 + u32::try_from(settings.len()).expect("a document has few settings")
    }

    /// The parts of its text, and what is set behind it.
    fn texts(&self, what: Control) -> (Option<[&'static str; 4]>, &[String]) {
        let only = |text| (Some([text, "", "", ""]), [].as_slice());
        match what {
            Control::Begin(begin) => {
                let settings = begin.settings.map_or(&self.always, |list| &self.settings[list]);
                (Some(begin_text(begin)), settings)
            }
            Control::Commit => only("COMMIT"),
            Control::Rollback => only("ROLLBACK"),
            Control::FlushStatistics if self.flushes => only("SELECT pg_stat_force_next_flush()"),
            Control::FlushStatistics => (None, &[]),
        }
    }
}

fn begin_text(begin: Begin) -> [&'static str; 4] {
    [
        "BEGIN",
        match begin.isolation {
            None => "",
            Some(IsolationLevel::ReadCommitted) => " ISOLATION LEVEL READ COMMITTED",
            Some(IsolationLevel::RepeatableRead) => " ISOLATION LEVEL REPEATABLE READ",
            Some(IsolationLevel::Serializable) => " ISOLATION LEVEL SERIALIZABLE",
        },
        if begin.read_only { " READ ONLY" } else { "" },
        if begin.deferrable { " DEFERRABLE" } else { "" },
    ]
}

/// `SET LOCAL "work_mem" = '64MB'`: a setting that holds until the end of the transaction. Neither name nor value can be
/// anything else, whatever they are.
///
/// # Panics
/// Never: what is made of texts is a text.
#[must_use]
pub fn set_local(name: &str, value: &str) -> String {
    let mut text = b"SET LOCAL ".to_vec();
    for (at, part) in name.split('.').enumerate() {
        let point = if at == 0 { "" } else { "." };
        text.extend_from_slice(format!("{point}{}", double_quoted(part)).as_bytes());
    }
    text.extend_from_slice(b" = ");
    let is_list = LISTS.iter().any(|list| list.eq_ignore_ascii_case(name));
    let values: Vec<&str> = if is_list { value.split(',').map(bare).collect() } else { vec![value] };
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(b", ");
        }
        // A zero byte would end the message; nothing that has one is a setting.
        put_quoted(value.replace('\0', "").as_bytes(), &mut text).expect("it has no zero byte");
    }
    String::from_utf8(text).expect("made of texts")
}

/// One element of a list, without the quotes that it may stand in.
fn bare(element: &str) -> &str {
    let element = element.trim();
    element.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')).unwrap_or(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted() {
        for (name, value, expected) in [
            ("work_mem", "64MB", "SET LOCAL \"work_mem\" = '64MB'"),
            ("my.tenant", "it's", "SET LOCAL \"my\".\"tenant\" = 'it''s'"),
            ("a\"; DROP", "x\\'; --", "SET LOCAL \"a\"\"; DROP\" =  E'x\\\\''; --'"),
            ("search_path", "app, \"My Schema\"", "SET LOCAL \"search_path\" = 'app', 'My Schema'"),
        ] {
            assert_eq!(set_local(name, value), expected);
        }
    }

    #[test]
    fn a_transaction_begins_with_its_modes_and_settings() {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = SessionOptions {
            settings: vec![vec![setting("work_mem", "1MB"), setting("enable_seqscan", "off")]].into(),
            ..SessionOptions::default()
        };
        let text = |controls: &Controls, what: Control| {
            let mut out = Vec::new();
            assert!(controls.put_query(what, &mut out));
            String::from_utf8(out[5..out.len() - 1].to_vec()).expect("text")
        };
        let begin = Begin {
            isolation: Some(IsolationLevel::Serializable),
            read_only: true,
            deferrable: true,
            settings: Some(0),
        };
        let controls = Controls::new(&options, Some("SET LOCAL statement_timeout = 5"), 15);
        assert_eq!(
            text(&controls, Control::Begin(begin)),
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SET LOCAL statement_timeout = 5; \
             SET LOCAL \"work_mem\" = '1MB'; SET LOCAL \"enable_seqscan\" = 'off'"
        );
        assert_eq!(
            text(&controls, Control::Begin(Begin::default())),
            "BEGIN; SET LOCAL statement_timeout = 5"
        );
        let plain = Controls::new(&SessionOptions::default(), None, 14);
        assert_eq!(text(&plain, Control::Begin(Begin::default())), "BEGIN");
        assert_eq!(plain.put_queued(Control::Commit, &mut Vec::new()), 1);
        assert!(!plain.put_query(Control::FlushStatistics, &mut Vec::new()), "14 cannot be asked");
    }
}
