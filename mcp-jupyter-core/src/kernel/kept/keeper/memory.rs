//! Giving back what only the start needed: a keeper waits for hours beside every kernel.

/// Lets go of the pages of code and constants that the start has read. What is needed again comes back from the system's
/// cache of the program's file.
#[cfg(target_os = "linux")]
pub(super) fn give_back() {
    use rustix::mm::{Advice, madvise};

    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for Mapping { start, length } in clean_mappings(&maps) {
        // SAFETY: the range is a mapping of a file that this process cannot write, and of which it has no page of its
        // own. Its pages are read from the file again when they are used.
        #[allow(unsafe_code, reason = "the advice is about code that is running")]
        let advised = unsafe {
            madvise(
                std::ptr::with_exposed_provenance_mut(start),
                length,
                Advice::LinuxDontNeed,
            )
        };
        if let Err(error) = advised {
            tracing::debug!(%error, "pages were not given back");
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn give_back() {}

#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
}

/// The mappings of files that are only read, and of which no page was changed before they became so (as relocations do).
fn clean_mappings(smaps: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(range) = range(line) {
            candidate = Some(range).filter(|_| is_read_from_a_file(line));
        } else if line.starts_with("Anonymous:")
            && let Some(mapping) = candidate.take()
            && line.split_whitespace().nth(1) == Some("0")
        {
            found.push(mapping);
        }
    }
    found
}

/// The range that the first line about a mapping begins with.
fn range(line: &str) -> Option<Mapping> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let (start, end) = (
        usize::from_str_radix(start, 16).ok()?,
        usize::from_str_radix(end, 16).ok()?,
    );
    let length = end.checked_sub(start)?;
    Some(Mapping { start, length })
}

fn is_read_from_a_file(line: &str) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let rights = fields.next().unwrap_or_default();
    let is_file = fields.nth(3).is_some_and(|path| path.starts_with('/'));
    is_file && rights.starts_with('r') && !rights.contains('w') && rights.ends_with('p')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_file_still_has_is_given_back() {
        let smaps = "\
55a0-55b0 r-xp 00000000 fe:00 1 /bin/program
Rss: 8 kB
Anonymous: 0 kB
55b0-55c0 r--p 00010000 fe:00 1 /bin/program
Anonymous: 4 kB
55c0-55d0 rw-p 00020000 fe:00 1 /bin/program
Anonymous: 0 kB
7f00-7f10 r--p 00000000 00:00 0
Anonymous: 0 kB
7f10-7f20 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
";
        let mapping = Mapping {
            start: 0x55a0,
            length: 0x10,
        };
        assert_eq!(clean_mappings(smaps), [mapping]);
    }

    #[test]
    fn what_was_given_back_comes_again() {
        give_back();
        assert_eq!("still here".to_uppercase(), "STILL HERE");
    }
}
