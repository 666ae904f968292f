//! Reading and writing at a position, the same on every platform.

use std::fs::File;
use std::io;

/// Fills `buffer` from `position`.
///
/// # Errors
/// As the system says; `UnexpectedEof` where the file ends before.
pub fn read_exact_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, position);
    #[cfg(windows)]
    {
        let (mut done, len) = (0, buffer.len());
        while done < len {
            let at = position + done as u64;
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// Writes all of `bytes` at `position`.
///
/// # Errors
/// As the system says.
pub fn write_all_at(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, position);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            let at = position + done as u64;
            done += std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], at)?;
        }
        Ok(())
    }
}
