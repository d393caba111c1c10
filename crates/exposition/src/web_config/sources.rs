//! The files behind a configuration, and whether they changed.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// A configuration, a certificate chain or a bundle of authorities beyond this size is a mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file held: its hash (a key itself must not linger here), or why it could not be read.
type Fingerprint = Result<[u8; SHA256_OUTPUT_LEN], ErrorKind>;

/// Reads files and remembers what they held. By content and not by time of change: a copy can keep the time, a touched file need not
/// have changed, and a few kilobytes are read in microseconds.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<(PathBuf, Fingerprint)>);

impl Sources {
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = read(path);
        self.0.push((path.to_owned(), fingerprint(&content)));
        content
    }

    /// Whether any file would now be read otherwise than it was.
    pub(super) fn changed(&self) -> bool {
        self.0.iter().any(|(path, before)| fingerprint(&read(path)) != *before)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(content)
}

fn fingerprint(content: &io::Result<Vec<u8>>) -> Fingerprint {
    match content {
        Ok(bytes) => {
            let mut hash = [0; SHA256_OUTPUT_LEN];
            hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
            Ok(hash)
        }
        Err(error) => Err(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn notices_content_that_changes_appears_or_goes() {
        let directory = tempfile::tempdir().expect("directory");
        let (present, absent) = (directory.path().join("present"), directory.path().join("absent"));
        fs::write(&present, "one").expect("written");
        let mut sources = Sources::default();
        assert_eq!(sources.read(&present).expect("there"), b"one");
        assert!(sources.read(&absent).is_err());

        fs::write(&present, "one").expect("written");
        assert!(!sources.changed(), "same content, later time");
        fs::write(&present, "two").expect("written");
        assert!(sources.changed(), "other content, same size");
        fs::write(&present, "one").expect("written");
        fs::write(&absent, "").expect("written");
        assert!(sources.changed(), "appeared");
        fs::remove_file(&absent).expect("removed");
        fs::remove_file(&present).expect("removed");
        assert!(sources.changed(), "gone");
    }

    #[test]
    fn a_file_too_large_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("file");
        file.as_file().set_len(FILE_BYTES_MAX + 1).expect("sparse");
        assert_eq!(Sources::default().read(file.path()).expect_err("too large").kind(), ErrorKind::FileTooLarge);
    }
}
