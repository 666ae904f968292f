//! Reading and writing at a position, the same on every platform.

use std::fs::File;
use std::io;
use std::ops::Range;

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

/// Where the next bytes are, from `position` on, that are not known to be a hole; nothing, if there are no more.
///
/// # Errors
/// As the system says.
pub fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    #[cfg(target_os = "linux")]
    return match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(position)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(rustix::io::Errno::INVAL) => Ok(Some(position)),
        Err(error) => Err(error.into()),
    };
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Ok(Some(position))
    }
}

/// Where the next hole is, from `position` on: at the end of the file at the latest, which must be behind.
///
/// # Errors
/// As the system says.
pub fn next_hole(file: &File, position: u64) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(position))?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = position;
        file.metadata().map(|metadata| metadata.len())
    }
}

/// Makes a hole of those bytes.
///
/// # Errors
/// As the system says, and where it has no holes.
pub fn punch(file: &File, range: &Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(file, flags, range.start, range.end - range.start)?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Err(io::ErrorKind::Unsupported.into())
    }
}
