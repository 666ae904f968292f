//! A directory for what a command makes up, gone when the command is over.

use crate::os::clock;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes made up at a time.
const CHUNK: usize = 1 << 20;

/// A directory of one's own below the system's temporary one, into which nobody else can look.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// There is no room, or no right to.
    pub fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("volley-{:016x}", clock::random_u64()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }

    /// A file that is gone when its last holder is, however that ends: it has no name.
    ///
    /// # Errors
    /// There is no room.
    pub fn nameless_file(self) -> io::Result<File> {
        // The name goes with the directory.
        File::options().read(true).write(true).create_new(true).open(self.0.join("spool"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a file of `size` bytes that nothing can compress, the same ones for the same seed.
///
/// # Errors
/// It cannot be written.
pub fn make_up(path: &Path, size: u64, seed: u64) -> io::Result<()> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut file = File::create_new(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut left = size;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        generator.fill_bytes(&mut chunk[..len]);
        file.write_all(&chunk[..len])?;
        left -= len as u64;
    }
    Ok(())
}
