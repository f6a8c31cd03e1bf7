//! Asks the kernel to forget what it holds in memory of a folder's files, as far as that takes no right that only root has. It need not
//! obey: pages that somebody else has mapped stay, and so does what a file system keeps in memory by its nature.

use std::io;
use std::path::Path;

/// Asks it of every file below the folder; a file that goes meanwhile has nothing to be forgotten.
#[cfg(target_os = "linux")]
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let done = if kind.is_dir() {
            forget(&entry.path())
        } else if kind.is_file() {
            forget_file(&entry.path())
        } else {
            Ok(())
        };
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn forget_file(path: &Path) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    // What is not on the disk yet cannot be forgotten.
    rustix::fs::fdatasync(&file)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// There is nothing to ask.
#[cfg(not(target_os = "linux"))]
pub(super) fn forget(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_they_were_and_a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("base");
        std::fs::create_dir(&below).expect("a folder in it");
        let (file, link) = (below.join("16384"), folder.path().join("link"));
        std::fs::write(&file, vec![7; 100_000]).expect("written");
        // What a link leads to is not ours to touch.
        std::os::unix::fs::symlink("/nowhere", &link).expect("a link");
        forget(folder.path()).expect("all of it can be opened");
        assert_eq!(std::fs::read(&file).expect("it is there").len(), 100_000);
        #[cfg(target_os = "linux")]
        assert!(forget(&folder.path().join("nothing")).is_err());
    }
}
