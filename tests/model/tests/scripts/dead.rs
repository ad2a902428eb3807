//! Rules 8, 9 and 12: hopeless, dead and beyond the bound.

use coracle_model::invariants::Violation;
use coracle_model::message::Body;
use coracle_model::mistakes::Mistake;
use coracle_model::world::Step;

use crate::stage::{Stage, holds};

#[test]
fn who_was_cut_off_from_a_rolling_restart_is_hopeless_and_not_dead() {
    let mut stage = Stage::serving(5);
    for id in 0..4 {
        stage.take(Step::Restart(id)).expect("no violation");
        stage.live(&[0, 1, 2, 3]).expect("no violation");
        assert!(stage.world.is_whole(Some(4)), "{}", stage.world.summary());
    }
    for _ in 0..3 {
        stage.act(Step::Round(4), &[0, 1, 2, 3, 4]).expect("no violation");
        assert!(stage.process(4).is_hopeless());
        assert_eq!(stage.take(Step::Decide(4)), Ok(false));
    }
    stage.live(&[0, 1, 2, 3, 4]).expect("no violation");
    assert!(!stage.process(4).is_hopeless() && stage.world.is_whole(None));
    assert!(stage.world.processes.iter().all(|process| holds(process, 1)));
    assert!(!stage.world.is_beyond);
}

/// An answer of 2 to 1 is on its way while 2 restarts and is replaced, and arrives then.
fn late_answer(mistake: Option<Mistake>) -> Stage {
    let mut stage = Stage::formed(3, mistake, &[0, 1, 2]);
    stage.take(Step::Round(1)).expect("no violation");
    let hello = stage.last_to(2, |body| matches!(body, Body::Hello { .. }));
    stage.take(Step::Deliver(hello)).expect("no violation");
    let late = stage.last_to(1, |body| matches!(body, Body::HelloReply { .. }));
    stage.take(Step::Restart(2)).expect("no violation");
    stage.feed(0, 2, &[0, 1, 2]);
    for _ in 0..4 {
        stage.take(Step::Manage(0)).expect("no violation");
        stage.act(Step::Replicate(0), &[0, 1, 2]).expect("no violation");
    }
    assert!(stage.process(1).configuration().is_some_and(|(_, it)| it.names(stage.process(2).me)));
    stage.take(Step::Deliver(late)).expect("no violation");
    stage
}

#[test]
fn a_late_answer_of_an_older_incarnation_condemns_nobody() {
    let stage = late_answer(None);
    assert!(!stage.process(1).is_superseded(stage.process(2).me));
    let stage = late_answer(Some(Mistake::AnyNonce));
    assert!(stage.process(1).is_superseded(stage.process(2).me));
}

#[test]
fn four_members_with_two_restarts_halt_and_erase_nothing() {
    let mut stage = Stage::serving(4);
    let logs: Vec<_> = [0, 1].map(|id| stage.process(id).log.clone()).into();
    for id in [2, 3] {
        stage.take(Step::Restart(id)).expect("no violation");
    }
    stage.live(&[0, 1, 2, 3]).expect("no violation");
    for (id, log) in (0u8..).zip(&logs) {
        assert!(stage.process(id).halted, "{}", stage.world.summary());
        assert!(stage.process(id).log.starts_with(log));
    }
    assert_eq!(stage.world.ledger.acknowledged(), 1);
}

#[test]
fn all_that_restart_at_different_moments_form_one_new_epoch() {
    let mut stage = Stage::serving(3);
    let first = stage.process(0).epoch;
    for id in [0, 1] {
        stage.take(Step::Restart(id)).expect("no violation");
    }
    stage.live(&[0, 1, 2]).expect("no violation");
    assert!(stage.process(2).halted && holds(stage.process(2), 1));
    assert!([0, 1].iter().all(|id| stage.process(*id).is_blank()));
    stage.take(Step::Restart(2)).expect("no violation");
    stage.live(&[0, 1, 2]).expect("no violation");
    stage.serve(&[0, 1, 2]);
    let epoch = stage.process(0).epoch;
    assert!(epoch != first && stage.world.is_whole(None), "{}", stage.world.summary());
    assert!(stage.world.processes.iter().all(|process| process.epoch == epoch));
    assert_eq!(stage.world.ledger.served(), 2);
}

#[test]
fn all_that_restart_with_one_id_missing_form_nothing() {
    let mut stage = Stage::serving(3);
    for id in 0..3 {
        stage.take(Step::Restart(id)).expect("no violation");
    }
    stage.live(&[0, 1]).expect("no violation");
    assert!(stage.world.processes.iter().all(coracle_model::rules::Process::is_blank));
}

#[test]
fn two_members_with_a_restart_halt_and_erase_nothing() {
    let mut stage = Stage::formed(2, None, &[0, 1]);
    stage.act(Step::Propose(0), &[0, 1]).expect("no violation");
    stage.act(Step::Replicate(0), &[0, 1]).expect("no violation");
    assert_eq!(stage.world.ledger.acknowledged(), 1);
    let log = stage.world.processes[0].log.clone();
    stage.take(Step::Restart(1)).expect("no violation");
    for _ in 0..3 {
        stage.act(Step::Round(0), &[0, 1]).expect("no violation");
    }
    assert_eq!(stage.take(Step::Decide(0)), Ok(true));
    assert!(stage.world.processes[0].halted);
    assert_eq!(stage.world.processes[0].log, log);
}

#[test]
fn who_forgets_where_it_should_halt_is_found_by_what_clients_were_told() {
    let mut stage = Stage::serving(2);
    stage.rules.mistake = Some(Mistake::HaltForgets);
    stage.take(Step::Restart(1)).expect("no violation");
    assert_eq!(stage.live(&[0, 1]), Err(Violation::LastCopyErased));
}

/// A learner that was fed everything, and beyond the bound is the last that holds it.
fn last_copy(mistake: Option<Mistake>) -> (Stage, Result<(), Violation>) {
    let mut stage = Stage::serving(3);
    stage.rules.mistake = mistake;
    stage.take(Step::Restart(2)).expect("no violation");
    stage.feed(0, 2, &[0, 1, 2]);
    for id in [0, 1] {
        stage.take(Step::Restart(id)).expect("no violation");
    }
    assert!(stage.world.is_beyond && holds(stage.process(2), 1));
    let lived = stage.live(&[0, 1, 2]).map(|_| ());
    (stage, lived)
}

#[test]
fn a_learner_beyond_the_bound_keeps_the_last_copy() {
    let (stage, lived) = last_copy(None);
    assert_eq!(lived, Ok(()));
    assert!(stage.process(2).halted && holds(stage.process(2), 1));
    let (_, lived) = last_copy(Some(Mistake::UnnamedForgets));
    assert_eq!(lived, Err(Violation::LastCopyErased));
}
