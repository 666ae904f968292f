//! Which entries of a tree are sent: globs that take in and globs that leave out.
//!
//! A glob without a slash is compared with the names of files and directories at any depth, one with a
//! slash with paths as they will be at the receiver. `*` and `?` stop at slashes, `**` does not. What is
//! excluded stays out, a directory with all that it holds; where there are includes, of files only
//! those go that match one, and of directories only those in which there is such a file.

use super::name::TreePath;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs of each kind, at most: they are compiled into one automaton.
const GLOBS_MAX: usize = 1 << 10;

/// What is to go and what is not.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    includes: Option<Globs>,
    excludes: Option<Globs>,
}

#[derive(Clone, Debug)]
struct Globs {
    /// Without a slash.
    names: GlobSet,
    /// With a slash.
    paths: GlobSet,
}

impl Rules {
    /// Reads globs.
    ///
    /// # Errors
    /// One cannot be read; says which and why.
    pub fn new(includes: &[String], excludes: &[String]) -> Result<Self, String> {
        Ok(Self { includes: Globs::new(includes)?, excludes: Globs::new(excludes)? })
    }

    /// Whether the file or link of that path is to go.
    #[must_use]
    pub fn wants_file(&self, path: &TreePath) -> bool {
        let is_included = self.includes.as_ref().is_none_or(|globs| globs.matches(path));
        is_included && self.wants_directory(path)
    }

    /// Whether to look into the directory of that path.
    #[must_use]
    pub fn wants_directory(&self, path: &TreePath) -> bool {
        !self.excludes.as_ref().is_some_and(|globs| globs.matches(path))
    }

    /// Whether directories that hold nothing else go as well.
    #[must_use]
    pub fn wants_empty_directories(&self) -> bool {
        self.includes.is_none()
    }
}

impl Globs {
    fn new(globs: &[String]) -> Result<Option<Self>, String> {
        if globs.is_empty() {
            return Ok(None);
        }
        if globs.len() > GLOBS_MAX {
            return Err(format!("more than {GLOBS_MAX} globs; write fewer that match more"));
        }
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            let wanted = text.trim_end_matches('/');
            let set = if wanted.contains('/') { &mut paths } else { &mut names };
            set.add(parse(wanted.trim_start_matches('/'))?);
        }
        let built = |set: GlobSetBuilder| set.build().map_err(|error| error.to_string());
        Ok(Some(Self { names: built(names)?, paths: built(paths)? }))
    }

    fn matches(&self, path: &TreePath) -> bool {
        self.names.is_match(path.name()) || self.paths.is_match(path.as_str())
    }
}

fn parse(text: &str) -> Result<Glob, String> {
    if text.is_empty() {
        return Err("an empty glob matches nothing; write for example '*.tmp'".into());
    }
    let built = GlobBuilder::new(text).literal_separator(true).build();
    built.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(includes: &[&str], excludes: &[&str]) -> Rules {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
        Rules::new(&owned(includes), &owned(excludes)).expect("globs")
    }

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).expect("a path")
    }

    #[test]
    fn without_rules_everything_goes() {
        let rules = Rules::default();
        assert!(rules.wants_file(&path("a/b")) && rules.wants_directory(&path("a")));
        assert!(rules.wants_empty_directories());
    }

    #[test]
    fn names_match_at_any_depth_and_paths_from_the_top() {
        let rules = rules(&[], &["*.tmp", "target/", "/photos/raw", "a/**/z", "x/*.o"]);
        for out in ["a.tmp", "d/e/a.tmp", "photos/raw", "a/b/c/z", "a/z", "x/y.o"] {
            assert!(!rules.wants_file(&path(out)), "{out}");
        }
        assert!(!rules.wants_directory(&path("d/target")));
        for goes in ["a.tmpx", "photos/raw2", "d/photos/raw", "x/y/z.o", "d/a.o"] {
            assert!(rules.wants_file(&path(goes)), "{goes}");
        }
    }

    #[test]
    fn exclusion_wins_and_inclusion_is_about_files() {
        let rules = rules(&["*.{jpg,png}"], &["secret*"]);
        assert!(rules.wants_file(&path("d/a.jpg")) && !rules.wants_file(&path("d/a.txt")));
        assert!(!rules.wants_file(&path("d/secret.jpg")));
        assert!(rules.wants_directory(&path("d")) && !rules.wants_directory(&path("secrets")));
        assert!(!rules.wants_empty_directories());
    }

    #[test]
    fn what_is_no_glob_is_refused_with_a_sentence() {
        for glob in ["", "/", "a[b", "a{b", "[z-a]"] {
            assert!(Rules::new(&[glob.to_owned()], &[]).is_err(), "{glob:?}");
        }
        assert!(Rules::new(&vec!["a".to_owned(); GLOBS_MAX + 1], &[]).is_err());
    }
}
