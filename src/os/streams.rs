//! Whether a standard stream was there when the program began.

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, stat};
use std::os::fd::AsFd;

/// Whether the stream was closed. The runtime puts /dev/null in the place of a closed one before anything
/// else happens, open for reading and writing, so that no file gets its number; and whoever opens it for a
/// program on purpose does so for one of the two, as a rule.
#[must_use]
pub fn was_closed(stream: impl AsFd) -> bool {
    let is_both = fcntl_getfl(&stream).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    let device = fstat(&stream)
        .ok()
        .filter(|it| FileType::from_raw_mode(it.st_mode) == FileType::CharacterDevice);
    let null = stat("/dev/null").ok();
    is_both && device.zip(null).is_some_and(|(device, null)| device.st_rdev == null.st_rdev)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn only_the_null_device_that_is_read_and_written_counts_as_closed() {
        let open = |path, read, write| {
            let file = File::options().read(read).write(write).open(path);
            was_closed(file.expect("it is there"))
        };
        assert!(open("/dev/null", true, true));
        assert!(!open("/dev/null", true, false) && !open("/dev/null", false, true));
        assert!(!open("/dev/zero", true, true));
        assert!(!was_closed(tempfile::tempfile().expect("room")));
    }
}
