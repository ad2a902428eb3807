//! Invariants 4, 7, 8 and 9, and the parts of 3 and 5 that begin with a commit.

use coracle::{EntryId, Index, MemberId, Term};

use super::{Annals, Committed, Life, Origin, Scene, Sightings, Verdict, View, ensure};
use crate::entries::Known;

impl Life {
    /// Invariants 7 and 9, without the log.
    pub(super) fn check_progress(&self, view: &View) -> Verdict {
        let (old, id) = (&self.view, view.member.id);
        // Only a coordinator whose forming was cut off by a crash goes back to being blank: it has
        // its own vote and no log.
        let was_cut_off = old.hard.vote == Some(old.member) && old.last == EntryId::default();
        if was_cut_off && view.hard.epoch.0 == 0 {
            return ensure(7, old.member == view.member, || format!("{id} is another life"));
        }
        // Whoever leaves an epoch that is dead does so as another life, and held no command.
        if view.hard.epoch.0 == 0 && old.hard.epoch.0 != 0 && view.member != old.member {
            let command = self.commands.first();
            return ensure(7, command.is_none() && old.base == EntryId::default(), || {
                format!("{id} has forgotten the command at {command:?} that it held")
            });
        }
        let joined = old.hard.epoch.0 != 0;
        ensure(7, !joined || old.hard.epoch == view.hard.epoch, || {
            format!("{id} went from epoch {} to {}", old.hard.epoch, view.hard.epoch)
        })?;
        ensure(7, old.hard.incarnation.0 == 0 || old.member == view.member, || {
            format!("{id} changed its incarnation while it ran")
        })?;
        ensure(7, view.hard.term >= old.hard.term, || {
            format!("the term of {id} fell from {} to {}", old.hard.term, view.hard.term)
        })?;
        let same_term = view.hard.term == old.hard.term;
        ensure(
            6,
            !same_term || old.hard.vote.is_none() || view.hard.vote == old.hard.vote,
            || format!("{id} changed its vote in term {}", view.hard.term),
        )?;
        ensure(7, view.commit >= old.commit && view.applied >= old.applied, || {
            format!(
                "commit and applied of {id} fell from {} and {} to {} and {}",
                old.commit, old.applied, view.commit, view.applied
            )
        })?;
        ensure(9, view.applied <= view.commit && view.commit <= view.last.index, || {
            format!(
                "{id} has applied {} of {} committed of {} entries",
                view.applied, view.commit, view.last.index
            )
        })?;
        ensure(9, view.base.index <= view.applied && view.last.term <= view.hard.term, || {
            format!(
                "{id} in term {} with base {:?}, applied {} and last {:?}",
                view.hard.term, view.base, view.applied, view.last
            )
        })
    }

    /// Follows what changed at the log's end. Each entry is compared with the entry of that id
    /// that was seen first, on whichever node.
    pub(super) fn follow_log(
        &mut self,
        view: &View,
        scene: &impl Scene,
        annals: &mut Annals,
        sightings: &mut Sightings,
    ) -> Verdict {
        if self.view.last == view.last && self.view.hard.epoch == view.hard.epoch {
            return Ok(());
        }
        self.follow_snapshot(view, annals, sightings)?;
        let kept = self.kept(view, scene);
        let removed = self.log.len() as u64 - kept.0;
        let id = view.member.id;
        if removed > 0 {
            ensure(8, kept >= self.view.commit, || {
                format!("{id} took back entry {}, which is committed", kept.next())
            })?;
            let led = self.view.is_leader() && self.view.hard.term == view.hard.term;
            ensure(8, !led, || format!("{id} led and took back entry {}", kept.next()))?;
            sightings.truncated += removed;
            self.log.truncate(kept.0 as usize);
            self.commands.split_off(&kept.next());
        }
        let mut index = kept.next();
        while index <= view.last.index {
            let entry = scene.entry(index);
            let known = entry.ok_or_else(|| super::Violation {
                invariant: 9,
                seen: format!(
                    "{id} has no entry {index} although its log ends with {:?}",
                    view.last
                ),
            })?;
            self.take_entry(known, view, annals)?;
            if scene.is_command(index) {
                self.commands.insert(index);
            }
            index = index.next();
        }
        Ok(())
    }

    /// A leader's snapshot may have taken the place of the log: what it covers was committed.
    fn follow_snapshot(
        &mut self,
        view: &View,
        annals: &Annals,
        sightings: &mut Sightings,
    ) -> Verdict {
        let (id, base) = (view.member.id, view.base);
        if base.index <= self.view.base.index || base.index == Index::ZERO {
            return Ok(());
        }
        // What it had itself it may commit and drop in one step; whether it may is judged as a commit.
        if self.known(base.index).map(|known| known.id) == Some(base) && base.index <= view.commit {
            return Ok(());
        }
        let covered = annals.committed.get(..base.index.0 as usize).unwrap_or_default();
        let last = covered.last().map(|committed| committed.known);
        ensure(2, last.map(|known| known.id) == Some(base), || {
            format!("{id} has dropped its log up to {base:?}, where {last:?} was committed")
        })?;
        if self.known(base.index) == last {
            return Ok(());
        }
        ensure(8, base.index > self.view.commit, || {
            format!("{id} replaced committed entries by a snapshot up to {base:?}")
        })?;
        sightings.installed += 1;
        let entry = |committed: &Committed| (committed.known.id.term, committed.known.hash);
        self.log = covered.iter().map(entry).collect();
        Ok(())
    }

    /// Compares the whole log with what was seen of it.
    pub(super) fn audit(&self, view: &View, scene: &impl Scene) -> Verdict {
        let mut index = view.base.index.next();
        while index <= view.last.index {
            let seen = self.known(index);
            ensure(8, scene.entry(index) == seen && seen.is_some(), || {
                format!("entry {index} of {} changed without a truncation", view.member.id)
            })?;
            index = index.next();
        }
        Ok(())
    }

    /// The entry at an index, as it was seen.
    pub(super) fn known(&self, index: Index) -> Option<Known> {
        let place = index.0.checked_sub(1)?;
        let (term, hash) = *self.log.get(place as usize)?;
        Some(Known { id: EntryId { term, index }, hash })
    }

    /// Up to where the log is as it was.
    fn kept(&self, view: &View, scene: &impl Scene) -> Index {
        let mut kept = Index(self.log.len() as u64).min(view.last.index);
        while kept > view.base.index && scene.entry(kept) != self.known(kept) {
            kept = kept.previous();
        }
        kept
    }

    fn take_entry(&mut self, known: Known, view: &View, annals: &mut Annals) -> Verdict {
        let id = view.member.id;
        let index = Index(self.log.len() as u64);
        let term = self.log.last().map_or(Term(0), |(term, _)| *term);
        ensure(9, known.id.index == index.next(), || {
            format!("{id} has a gap between entries {index} and {}", known.id.index)
        })?;
        ensure(9, known.id.term >= term && known.id.term <= view.hard.term, || {
            format!("{id} in term {} has {:?} behind one of term {term}", view.hard.term, known.id)
        })?;
        annals.on_entry(known, EntryId { term, index })?;
        self.log.push((known.id.term, known.hash));
        Ok(())
    }
}

/// Invariant 3, before it comes to an election: from what the disks hold, no member that lacks the
/// entry could get the votes of a majority. That fails when an entry of an earlier term is committed
/// by counting (figure 8), long before it is lost.
fn nobody_wins_without(known: Known, scene: &impl Scene) -> Verdict {
    let halves = scene.halves();
    let voters: Vec<MemberId> = halves.concat();
    let without = voters.iter().filter(|member| !scene.is_durable(**member, known));
    for candidate in without {
        let Some(last) = scene.durable_last(*candidate) else { continue };
        let grants = |member: &&MemberId| scene.durable_last(**member).is_some_and(|of| of <= last);
        let is_won = |half: &Vec<MemberId>| 2 * half.iter().filter(grants).count() > half.len();
        ensure(3, !halves.iter().all(is_won), || {
            format!(
                "{:?} is committed, but {} could be elected without it, with {last:?} as its last",
                known.id, candidate.id
            )
        })?;
    }
    Ok(())
}

impl Annals {
    /// Invariant 4: an id names one entry, and the same one before it.
    pub(super) fn on_entry(&mut self, known: Known, previous: EntryId) -> Verdict {
        let origin = Origin { hash: known.hash, previous };
        let first = *self.entries.entry(known.id).or_insert(origin);
        ensure(4, first == origin, || {
            format!("two different entries are {:?}, or follow different ones", known.id)
        })
    }

    /// Invariants 3, 5 and 8: what a node holds for committed is what was committed first, and
    /// that was by a leader, durably on a quorum, with one of its own.
    pub(super) fn on_commit(
        &mut self,
        old: Index,
        view: &View,
        life: &Life,
        scene: &impl Scene,
        sightings: &mut Sightings,
    ) -> Verdict {
        let mut index = old.next();
        while index <= view.commit {
            let known = life.known(index);
            let Some(known) = known else {
                return ensure(9, false, || format!("{} commits what it has not", view.member.id));
            };
            match self.committed.get((index.0 - 1) as usize) {
                Some(committed) => ensure(8, committed.known == known, || {
                    format!(
                        "{} holds {:?} for committed, where {:?} was",
                        view.member.id, known.id, committed.known.id
                    )
                })?,
                None => {
                    self.on_first_commit(known, view, life, scene, sightings)?;
                    if index == view.commit {
                        nobody_wins_without(known, scene)?;
                    }
                }
            }
            index = index.next();
        }
        Ok(())
    }

    fn on_first_commit(
        &mut self,
        known: Known,
        view: &View,
        life: &Life,
        scene: &impl Scene,
        sightings: &mut Sightings,
    ) -> Verdict {
        let by = view.hard.term;
        // A leader without a vote in the configuration that it commits steps down at once.
        let led = life.view.is_leader() && life.view.hard.term == by;
        ensure(3, view.is_leader() || led, || {
            format!("{} holds {:?} for committed, before any leader", view.member.id, known.id)
        })?;
        // A leader may go on to its next configuration as soon as one is committed: then it is the
        // configuration before that counted.
        let is_durable = |member: &&MemberId| scene.is_durable(**member, known);
        let holds = |half: &Vec<MemberId>| 2 * half.iter().filter(is_durable).count() > half.len();
        let halves = scene.halves();
        let before = &life.halves;
        let is_held = halves.iter().all(holds) || before.iter().all(holds) && !before.is_empty();
        ensure(5, is_held, || {
            let holders: Vec<_> = halves.iter().flatten().filter(is_durable).collect();
            format!("{:?} is committed, but durable on {holders:?} of {halves:?}", known.id)
        })?;
        sightings.committed += 1;
        if known.id.term < by {
            sightings.committed_of_earlier_terms += 1;
        }
        self.committed.push(Committed { known, by });
        self.later_leaders_have(known, by)
    }

    /// Invariant 3, when the commit comes after the election.
    fn later_leaders_have(&self, known: Known, by: Term) -> Verdict {
        for (term, leadership) in self.leaders.range(by.next()..) {
            let mut at = leadership.last;
            while at.index > known.id.index {
                let Some(origin) = self.entries.get(&at) else { break };
                at = origin.previous;
            }
            ensure(3, at == known.id, || {
                format!(
                    "the leader of term {by} committed {:?}, which the leader of term {term} had not",
                    known.id
                )
            })?;
        }
        Ok(())
    }
}
