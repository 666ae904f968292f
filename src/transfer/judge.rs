//! Which of the entries that a sender offers are taken, by what they are and where they would lie.

use super::entry::{Entry, Kind};
use super::name::{TreePath, leads_to_hidden, link_fault, show_start};
use super::outcome::{Failure, Reason};
use std::collections::HashSet;

/// What is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Takes {
    /// Everything.
    All,
    /// One file, whose name means nothing.
    One,
    /// Everything but hidden names.
    #[default]
    Visible,
}

/// Judges entries as they are offered.
#[derive(Debug, Default)]
pub(super) struct Judge {
    takes: Takes,
    /// All paths that were offered, by their hashes: none is offered twice.
    paths: HashSet<[u8; 16]>,
}

impl Judge {
    pub(super) fn new(takes: Takes) -> Self {
        Self { takes, paths: HashSet::new() }
    }

    /// Whether one file is taken and nothing else.
    pub(super) fn takes_one(&self) -> bool {
        self.takes == Takes::One
    }

    /// Whether the path is one that may be written to, and what is offered may lie there; `index` says how
    /// many were offered before.
    pub(super) fn judge(&mut self, index: u32, entry: Entry) -> Result<(TreePath, Kind), Failure> {
        let refused = |text| Failure::new(Reason::Refused, text);
        let path = TreePath::parse(&entry.path).map_err(|error| refused(error.to_string()))?;
        if self.takes_one() {
            return judge_only(index, path, entry.kind);
        }
        if path.is_hidden() && self.takes == Takes::Visible {
            let text =
                format!("\"{path}\" is a hidden name; the receiving side takes it with --hidden");
            return Err(refused(text));
        }
        if let Kind::Link { target } = &entry.kind
            && let Some(fault) = link_fault(&path, target)
        {
            let shown = show_start(target);
            return Err(refused(format!("the link \"{path}\" says \"{shown}\": {fault}")));
        }
        if let Kind::Link { target } = &entry.kind
            && self.takes == Takes::Visible
            && leads_to_hidden(&path, target)
        {
            let shown = show_start(target);
            let text = format!(
                "the link \"{path}\" leads to a hidden name, \"{shown}\"; the receiving side takes it with \
                 --hidden"
            );
            return Err(refused(text));
        }
        let hash = blake3::hash(path.as_str().as_bytes());
        let (half, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
        if !self.paths.insert(*half) {
            return Err(refused(format!("\"{path}\" is offered twice")));
        }
        Ok((path, entry.kind))
    }
}

fn judge_only(index: u32, path: TreePath, kind: Kind) -> Result<(TreePath, Kind), Failure> {
    let what = match kind {
        Kind::File { size, holes, mut attributes, .. } if index == 0 => {
            // It is to be read again, whatever its mode says.
            attributes.mode |= 0o600;
            // Nobody would find what is left of it.
            return Ok((path, Kind::File { size, holes, attributes, source: None }));
        }
        Kind::File { .. } => "one more",
        Kind::Directory { .. } => "a directory",
        Kind::Link { .. } => "a link",
    };
    let text = format!(
        "the receiver writes one file to its standard output, and \"{path}\" is {what}; send one file, or \
         start recv with a directory"
    );
    Err(Failure::new(Reason::Refused, text))
}
