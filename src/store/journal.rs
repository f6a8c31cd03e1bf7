//! The journal of one run: entries as JSON lines, handed to the operating system at each write, so that a killed process
//! loses at most the second that it was in.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::record::entry::Entry;
use crate::units::RunId;

use super::{JOURNAL, StoreError};

/// A journal being written.
pub struct Journal {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    /// One line in the making; kept for its memory.
    line: Vec<u8>,
    /// Length of the file up to the last whole line.
    length: u64,
}

impl Journal {
    /// Makes the run's folder and its journal in it.
    pub fn create(runs_dir: &Path, id: &RunId) -> Result<Self, StoreError> {
        let dir = runs_dir.join(&id.0);
        std::fs::create_dir_all(&dir).map_err(StoreError::io("make the folder", &dir))?;
        let path = dir.join(JOURNAL);
        let file = File::options()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        Ok(Self { dir, path, file, line: Vec::new(), length: 0 })
    }

    /// The run's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends an entry. After an error the file ends with the last whole line again as far as the disk allows, and writing may
    /// be tried again.
    pub fn write(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry)
            .map_err(std::io::Error::from)
            .map_err(StoreError::io("write", &self.path))?;
        self.line.push(b'\n');
        if let Err(error) = self.file.write_all(&self.line) {
            // Half a line in the middle would make the rest unreadable; what matters is the first error.
            let _ = self.file.set_len(self.length);
            let _ = std::io::Seek::seek(&mut self.file, std::io::SeekFrom::Start(self.length));
            return Err(StoreError::io("write", &self.path)(error));
        }
        self.length += self.line.len() as u64;
        Ok(())
    }
}

/// Reads a journal entry by entry. A last line without an end was cut off in the middle and is left out.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + use<>, StoreError> {
    let file = File::open(path).map_err(StoreError::io("read", path))?;
    let mut lines = BufReader::new(file);
    let path = path.to_owned();
    let mut number = 0;
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        line.clear();
        number += 1;
        match lines.read_until(b'\n', &mut line) {
            Err(error) => Some(Err(StoreError::io("read", &path)(error))),
            Ok(0) => None,
            Ok(_) if line.last() != Some(&b'\n') => None,
            Ok(_) => Some(serde_json::from_slice(&line).map_err(|source| StoreError::Line {
                path: path.clone(),
                line: number,
                source,
            })),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::entry::{End, EndReason, Event};
    use crate::units::Stamp;

    fn event(at: u64) -> Entry {
        Entry::Event(Event { at: Stamp(at), kind: "k".into(), message: "ünïcode \n line".into(), count: 1 })
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_line_is_left_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::create(dir.path(), &RunId("r".into())).expect("a journal");
        journal.write(&event(1)).expect("written");
        journal.write(&Entry::End(End { at: Stamp(2), reason: EndReason::Completed })).expect("written");
        let path = journal.dir().join(JOURNAL);
        let mut torn = std::fs::read(&path).expect("readable");
        torn.extend_from_slice(br#"{"event":{"at":3,"ki"#);
        std::fs::write(&path, torn).expect("writable");
        let entries: Vec<_> = read(&path).expect("readable").collect::<Result<_, _>>().expect("entries");
        assert_eq!(entries.len(), 2);
        assert!(matches!(&entries[0], Entry::Event(event) if event.message == "ünïcode \n line"));
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_with_its_number() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        std::fs::write(&path, "{\"event\":3}\n").expect("writable");
        let first = read(&path).expect("readable").next().expect("a line");
        assert!(matches!(first, Err(StoreError::Line { line: 1, .. })));
    }

    #[test]
    fn a_run_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let id = RunId("r".into());
        let _first = Journal::create(dir.path(), &id).expect("a journal");
        assert!(Journal::create(dir.path(), &id).is_err());
    }
}
