//! What each mistake does where the rules hold.

use coracle_model::invariants::Violation;
use coracle_model::message::Body;
use coracle_model::mistakes::Mistake;
use coracle_model::rules::Role;
use coracle_model::world::Step;

use crate::stage::Stage;

fn unseen_term(mistake: Option<Mistake>) -> Result<Stage, Violation> {
    let mut stage = Stage::formed(3, mistake, &[0, 1, 2]);
    stage.act(Step::Campaign(2), &[1, 2])?;
    for step in [Step::Replicate(2), Step::Replicate(2), Step::Propose(2), Step::Replicate(2)] {
        stage.act(step, &[1, 2])?;
    }
    assert_eq!(stage.world.ledger.acknowledged(), 1);
    stage.take(Step::Restart(2))?;
    stage.act(Step::Round(0), &[0, 2])?;
    for _ in 0..6 {
        stage.take(Step::Manage(0))?;
        stage.act(Step::Replicate(0), &[0, 2])?;
    }
    Ok(stage)
}

#[test]
fn an_unseen_term_survives() {
    let stage = unseen_term(None).expect("no violation");
    let leader = &stage.world.processes[0];
    assert_eq!((leader.role, leader.term, leader.commit), (Role::Leader, 1, 1));
    assert_eq!(leader.log.len(), 2, "the joint entry waits for the old half");
    for mistake in [Mistake::OneEntrySwap, Mistake::NewHalfOnly, Mistake::JointLeftEarly] {
        assert_eq!(unseen_term(Some(mistake)).err(), Some(Violation::ConflictingCommit));
    }
}

fn vote_of_a_blank_member(mistake: Option<Mistake>) -> Role {
    let mut stage = Stage::formed(3, mistake, &[0, 1]);
    assert!(stage.world.processes[2].is_blank());
    stage.take(Step::Restart(0)).expect("no violation");
    stage.act(Step::Campaign(1), &[1, 2]).expect("no violation");
    stage.world.processes[1].role
}

#[test]
fn a_blank_member_votes() {
    assert_eq!(vote_of_a_blank_member(None), Role::Leader);
    assert_eq!(vote_of_a_blank_member(Some(Mistake::BlankNeverVotes)), Role::Candidate);
}

fn restart_between_answers(mistake: Option<Mistake>) -> Result<Stage, Violation> {
    let mut stage = Stage::new(3, mistake);
    stage.act(Step::Round(0), &[0, 1])?;
    stage.take(Step::Restart(1))?;
    stage.take(Step::Restart(2))?;
    stage.next = 0;
    stage.settle(&[0, 2])?;
    stage.settle(&[0, 1, 2])?;
    Ok(stage)
}

#[test]
fn nobody_forms_with_a_member_that_is_gone() {
    let stage = restart_between_answers(None).expect("no violation");
    assert!(stage.world.processes[0].is_blank());
    let found = restart_between_answers(Some(Mistake::OneRoundFormation));
    assert_eq!(found.err(), Some(Violation::NeverAllBlank));
}

fn old_answers(mistake: Option<Mistake>) -> Result<bool, Violation> {
    let mut stage = Stage::new(3, mistake);
    stage.act(Step::Round(2), &[0, 1, 2])?;
    let old = stage.answers(2);
    assert_eq!(old.len(), 2);
    stage.act(Step::Round(0), &[0, 1, 2])?;
    for _ in 0..3 {
        stage.act(Step::Replicate(0), &[0, 1])?;
    }
    // The first append to 2 names an entry before, which it lacks.
    let first = stage.world.network.iter().position(|message| {
        message.to.id == 2 && matches!(message.body, Body::Append { previous: 1, .. })
    });
    stage.take(Step::Deliver(first.expect("it was sent")))?;
    assert!(stage.world.processes[2].is_hopeless());
    for _ in 0..2 {
        stage.take(Step::Round(2))?;
        for number in &old {
            stage.take(Step::Deliver(*number))?;
        }
    }
    stage.take(Step::Decide(2))
}

#[test]
fn a_joiner_whose_first_append_is_rejected_does_not_redraw() {
    assert_eq!(old_answers(None), Ok(false));
    assert_eq!(old_answers(Some(Mistake::AnyNonce)), Err(Violation::LivingDeclaredDead));
}

fn late_append_after_a_redraw(mistake: Option<Mistake>) -> Result<Stage, Violation> {
    let mut stage = Stage::new(3, mistake);
    stage.act(Step::Round(0), &[0, 1, 2])?;
    stage.act(Step::Replicate(0), &[2])?;
    let late = stage
        .world
        .network
        .iter()
        .position(|message| message.to.id == 2 && matches!(message.body, Body::Append { .. }));
    let late = late.expect("it was sent");
    stage.take(Step::Deliver(late))?;
    stage.take(Step::Restart(0))?;
    for _ in 0..3 {
        stage.act(Step::Round(2), &[0, 1, 2])?;
    }
    assert_eq!(stage.take(Step::Decide(2)), Ok(true));
    assert!(stage.world.processes[2].is_blank());
    stage.take(Step::Deliver(late))?;
    Ok(stage)
}

#[test]
fn a_late_append_does_not_reach_who_has_redrawn() {
    let stage = late_append_after_a_redraw(None).expect("no violation");
    assert!(stage.world.processes[2].is_blank());
    let found = late_append_after_a_redraw(Some(Mistake::ResetWithoutRedraw));
    assert_eq!(found.err(), Some(Violation::JoinedTwice));
}
