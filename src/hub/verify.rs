//! The checksum of a file is its name: the hub sends it as the ETag, and the cache files each blob
//! under it. SHA-256 for files kept in LFS, git's SHA-1 of the blob for the others.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum in lower-case hexadecimal, which makes it safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// 64 digits.
    Sha256(String),
    /// 40 digits, over `blob SIZE\0` and the bytes.
    GitSha1(String),
}

impl Checksum {
    /// The checksum an ETag stands for; none for an ETag of any other kind.
    pub(super) fn parse(etag: &str) -> Option<Self> {
        let etag = etag.trim();
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_ascii_lowercase();
        if !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        match etag.len() {
            64 => Some(Checksum::Sha256(etag)),
            40 => Some(Checksum::GitSha1(etag)),
            _ => None,
        }
    }

    /// The digits.
    pub(super) fn hex(&self) -> &str {
        match self {
            Checksum::Sha256(hex) | Checksum::GitSha1(hex) => hex,
        }
    }

    /// The checksum of the same kind that the bytes of `path` have.
    pub(super) fn of_file(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        match self {
            Checksum::Sha256(_) => digest(Sha256::new(), &mut file),
            Checksum::GitSha1(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {}\0", file.metadata()?.len()));
                digest(hasher, &mut file)
            }
        }
    }
}

fn digest(mut hasher: impl Digest, from: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_etag_is_a_checksum_or_nothing() {
        let sha1 = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(Checksum::parse(&format!("\"{sha1}\"")), Some(Checksum::GitSha1(sha1.into())));
        assert_eq!(Checksum::parse(&format!("W/\"{sha1}\"")), Some(Checksum::GitSha1(sha1.into())));
        let sha256 = "A".repeat(64);
        assert_eq!(Checksum::parse(&sha256), Some(Checksum::Sha256("a".repeat(64))));
        for other in ["", "\"\"", "abc", "../../../etc/passwd", &"g".repeat(40), &"é".repeat(20)] {
            assert_eq!(Checksum::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn bytes_give_the_checksums_git_and_sha256sum_give() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        // `git hash-object` and `sha256sum` of the same file.
        for expected in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let checksum = Checksum::parse(expected).unwrap();
            assert_eq!(checksum.of_file(file.path()).unwrap(), expected);
        }
    }
}
