//! What the sender offers, as long as it keeps to what may be offered at once.

use super::{Incoming, Receiving};
use crate::transfer::budget::Pool;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::holes::HOLE_BYTES_MAX;
use crate::transfer::job::Job;
use crate::transfer::message::{ENTRIES_MAX, UNSETTLED_MAX, UNSETTLED_TEXT_MAX};
use crate::transfer::name::{TreePath, show_start};
use crate::transfer::outcome::{Failure, Reason};
use crate::wire::cursor::Malformed;
use crate::wire::header::OFFSET_END;

/// Memory that an entry takes on this side beside its texts, until it is settled, and one that is refused.
const ENTRY_COST: usize = 640;
const REFUSED_COST: usize = 160;

/// Memory that the hash of a path takes, until the end.
const PATH_COST: usize = 40;

/// An entry that is taken, or why it is not.
type Judged = Result<(TreePath, Kind), Failure>;

impl Receiving {
    pub(super) fn on_offer(&mut self, entry: Entry) -> Result<(), Malformed> {
        let (start, layout) = (self.offered, entry.kind.layout());
        let end = start.checked_add(layout.space()).filter(|end| *end <= OFFSET_END);
        let end = end.ok_or(Malformed("offer: beyond the transfer space"))?;
        let holes = self.holes.saturating_add(layout.holes().total());
        if holes > HOLE_BYTES_MAX {
            return Err(Malformed("offer: more bytes in holes than in a transfer"));
        }
        self.before_the_end()?;
        if self.entries.next() >= ENTRIES_MAX {
            return Err(Malformed("offer: too many entries"));
        }
        if let Some(list) = &mut self.list {
            list.push(entry);
            (self.offered, self.holes) = (end, holes);
            let is_too_many = self.ledger.list() > ENTRIES_MAX.into();
            return if is_too_many { Err(Malformed("offer: too many entries")) } else { Ok(()) };
        }
        let text_len = entry.text_len();
        if self.entries.len() >= UNSETTLED_MAX || self.text_len + text_len > UNSETTLED_TEXT_MAX {
            return Err(Malformed("offer: too many entries at once"));
        }
        let name = show_start(&entry.path);
        let (sort, range) = (entry.kind.sort(), start..end);
        let (cost, wanted) = self.admit(entry)?;
        (self.offered, self.holes) = (end, holes);
        self.text_len += text_len;
        let index = self.entries.push(Incoming {
            name,
            sort,
            text_len,
            cost,
            layout,
            range: range.clone(),
            renamed: None,
            is_judged: false,
            is_rooted: false,
            is_settled: false,
        });
        let (wanted, refused) = match wanted {
            Ok(wanted) => (Some(wanted), None),
            Err(failure) => (None, Some(failure)),
        };
        self.push_job(Job::Offer { index, wanted, range });
        if let Some(failure) = refused {
            if self.judge.takes_one() {
                self.refuse_first(&failure);
            }
            self.reject(index, failure);
        }
        self.early.release(self.offered, &mut self.batch);
        Ok(())
    }

    /// What an entry costs and is, if there is memory for it and it may lie where it is to.
    fn admit(&mut self, entry: Entry) -> Result<(usize, Judged), Malformed> {
        let holes = entry.kind.layout().holes().memory();
        let cost = ENTRY_COST + 2 * entry.text_len() + holes;
        if self.account.take(Pool::State, cost + PATH_COST) {
            return Ok((cost, self.judge.judge(self.entries.next(), entry)));
        }
        if !self.account.take(Pool::State, REFUSED_COST) {
            return Err(Malformed("offer: more entries at once than there is memory for"));
        }
        let text =
            "this side is busy with other transfers, and has no memory left; send again later";
        Ok((REFUSED_COST, Err(Failure::new(Reason::Refused, text))))
    }

    /// Of several entries where one is taken, the first is not taken either.
    fn refuse_first(&mut self, failure: &Failure) {
        if self.entries.get(0).is_some_and(|first| !first.is_settled) {
            self.push_job(Job::Forget { index: 0 });
            self.reject(0, failure.clone());
        }
    }
}
