//! What the sender offers, as long as it keeps to what may be offered at once.

use super::{Incoming, Receiving};
use crate::transfer::entry::Entry;
use crate::transfer::job::Job;
use crate::transfer::message::{ENTRIES_MAX, UNSETTLED_MAX, UNSETTLED_TEXT_MAX};
use crate::transfer::name::show_start;
use crate::transfer::outcome::Failure;
use crate::wire::cursor::Malformed;
use crate::wire::header::OFFSET_END;

impl Receiving {
    pub(super) fn on_offer(&mut self, entry: Entry) -> Result<(), Malformed> {
        let start = self.offered;
        let end = start.checked_add(entry.kind.size()).filter(|end| *end <= OFFSET_END);
        let end = end.ok_or(Malformed("offer: beyond the transfer space"))?;
        if self.is_offer_complete || self.entries.next() >= ENTRIES_MAX {
            return Err(Malformed("offer: too many entries"));
        }
        if let Some(list) = &mut self.list {
            list.push(entry);
            self.offered = end;
            let is_too_many = self.ledger.list() > ENTRIES_MAX.into();
            return if is_too_many { Err(Malformed("offer: too many entries")) } else { Ok(()) };
        }
        let text_len = entry.text_len();
        if self.entries.len() >= UNSETTLED_MAX || self.text_len + text_len > UNSETTLED_TEXT_MAX {
            return Err(Malformed("offer: too many entries at once"));
        }
        let name = show_start(&entry.path);
        let (sort, range) = (entry.kind.sort(), start..end);
        let wanted = self.judge.judge(self.entries.next(), entry);
        self.offered = end;
        self.text_len += text_len;
        let index = self.entries.push(Incoming {
            name,
            sort,
            text_len,
            range: range.clone(),
            renamed: None,
            is_judged: false,
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

    /// Of several entries where one is taken, the first is not taken either.
    fn refuse_first(&mut self, failure: &Failure) {
        if self.entries.get(0).is_some_and(|first| !first.is_settled) {
            self.push_job(Job::Forget { index: 0 });
            self.reject(0, failure.clone());
        }
    }
}
