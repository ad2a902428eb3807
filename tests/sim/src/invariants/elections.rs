//! Invariants 1 and 3, and the votes of invariant 6.

use coracle::{Epoch, MemberId, Term};

use super::{Annals, Chronicle, Leadership, Life, Sightings, Verdict, View, annals, ensure};

impl Annals {
    /// Invariant 1: nobody else has led this term. Invariant 3: the leader has everything that was
    /// committed by a leader of an earlier term. It is the term of that leader which counts; an
    /// entry may be older (section 5.4.2).
    pub(super) fn on_leader(
        &mut self,
        view: &View,
        life: &Life,
        sightings: &mut Sightings,
    ) -> Verdict {
        let term = view.hard.term;
        if let Some(leader) = self.leaders.get(&term) {
            return ensure(1, leader.member == view.member, || {
                format!("{} and {} both lead term {term}", leader.member.id, view.member.id)
            });
        }
        sightings.leaders += 1;
        if self.leaders.last_key_value().is_some_and(|(latest, _)| *latest > term) {
            sightings.late_leaders += 1;
        }
        self.leaders.insert(term, Leadership { member: view.member, last: view.last });
        for committed in self.committed.iter().filter(|committed| committed.by < term) {
            let index = committed.known.id.index;
            ensure(3, life.known(index) == Some(committed.known), || {
                format!(
                    "{} leads term {term} without {:?}, committed by the leader of term {}",
                    view.member.id, committed.known.id, committed.by
                )
            })?;
        }
        Ok(())
    }

    fn on_vote(&mut self, term: Term, voter: MemberId, candidate: MemberId) -> Verdict {
        let first = *self.votes.entry((term, voter)).or_insert(candidate);
        ensure(6, first == candidate, || {
            format!("{} voted for {} and {} in term {term}", voter.id, first.id, candidate.id)
        })
    }
}

impl Chronicle {
    /// Invariant 6: a vote left its voter, which votes for nobody else in this term, ever.
    ///
    /// # Errors
    /// The second candidate.
    pub fn vote(
        &mut self,
        epoch: Epoch,
        term: Term,
        voter: MemberId,
        candidate: MemberId,
    ) -> Verdict {
        annals(&mut self.epochs, epoch).on_vote(term, voter, candidate)
    }

    /// Who led a term.
    #[must_use]
    pub fn leader(&self, epoch: Epoch, term: Term) -> Option<MemberId> {
        let (_, annals) = self.epochs.iter().find(|(of, _)| *of == epoch)?;
        annals.leaders.get(&term).map(|leadership| leadership.member)
    }
}
