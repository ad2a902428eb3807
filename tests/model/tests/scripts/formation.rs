//! Rules 3 and 4: an epoch begins while nodes die.

use coracle_model::message::Body;
use coracle_model::world::Step;

use crate::stage::Stage;

const ALL: &[u8] = &[0, 1, 2];

/// All are in one epoch, which serves.
fn assert_one_epoch(stage: &mut Stage) {
    stage.live(ALL).expect("no violation");
    stage.serve(ALL);
    let epoch = stage.process(0).epoch;
    assert!(stage.world.is_whole(None), "{}", stage.world.summary());
    assert!(stage.world.processes.iter().all(|process| process.epoch == epoch));
    assert_eq!(stage.world.ledger.served(), 1);
}

/// Process 0 has sent Boot to both others.
fn booting() -> (Stage, [usize; 2]) {
    let mut stage = Stage::new(3, None);
    stage.take(Step::Round(0)).expect("no violation");
    let mut next = 0;
    while let Some(message) = stage.world.network.get(next) {
        if !matches!(message.body, Body::Boot { .. }) {
            stage.take(Step::Deliver(next)).expect("no violation");
        }
        next += 1;
    }
    let boots = [1, 2].map(|id| stage.last_to(id, |body| matches!(body, Body::Boot { .. })));
    stage.next = stage.world.network.len();
    (stage, boots)
}

#[test]
fn who_dies_before_it_accepts_is_in_no_formation() {
    let (mut stage, boots) = booting();
    let gone = stage.process(1).me;
    stage.take(Step::Restart(1)).expect("no violation");
    for boot in boots {
        stage.take(Step::Deliver(boot)).expect("no violation");
    }
    stage.settle(ALL).expect("no violation");
    assert!(stage.process(0).is_blank());
    assert_one_epoch(&mut stage);
    assert_ne!(stage.process(0).epoch[1], gone.incarnation);
}

#[test]
fn who_dies_after_it_accepted_is_replaced() {
    let (mut stage, boots) = booting();
    let gone = stage.process(1).me;
    stage.take(Step::Deliver(boots[0])).expect("no violation");
    stage.take(Step::Restart(1)).expect("no violation");
    stage.take(Step::Deliver(boots[1])).expect("no violation");
    stage.settle(ALL).expect("no violation");
    assert_eq!(stage.process(0).epoch[1], gone.incarnation);
    let formed = stage.process(0).epoch;
    assert_one_epoch(&mut stage);
    assert_eq!(stage.process(0).epoch, formed);
    assert!(stage.process(0).configuration().is_some_and(|(_, it)| it.names(stage.process(1).me)));
}

/// Process 0 forms, so many of its appends reach 1, and it dies.
fn coordinator_dies_after(appends: usize) -> (Stage, [u8; 5]) {
    let mut stage = Stage::new(3, None);
    stage.act(Step::Round(0), ALL).expect("no violation");
    for _ in 0..appends {
        stage.act(Step::Replicate(0), &[0, 1]).expect("no violation");
    }
    let formed = stage.process(0).epoch;
    stage.take(Step::Restart(0)).expect("no violation");
    (stage, formed)
}

#[test]
fn a_coordinator_that_dies_after_a_rejected_append_leaves_a_dead_epoch() {
    let (mut stage, formed) = coordinator_dies_after(1);
    assert_eq!(stage.process(1).epoch, formed);
    assert!(stage.process(1).log.is_empty());
    let joiner = stage.process(1).me;
    assert_one_epoch(&mut stage);
    assert_ne!(stage.process(1).me, joiner, "it has redrawn");
    assert_ne!(stage.process(0).epoch, formed);
}

#[test]
fn a_coordinator_that_dies_after_one_entry_is_replaced() {
    let (mut stage, formed) = coordinator_dies_after(2);
    assert_eq!(stage.process(1).log.len(), 1);
    assert_one_epoch(&mut stage);
    assert_eq!(stage.process(0).epoch, formed);
}

/// The first formation's append to 2 is late; its coordinator is dead.
fn late_append() -> (Stage, usize, [u8; 5]) {
    let mut stage = Stage::new(3, None);
    stage.act(Step::Round(0), ALL).expect("no violation");
    stage.take(Step::Replicate(0)).expect("no violation");
    let late = stage.last_to(2, |body| matches!(body, Body::Append { .. }));
    let formed = stage.process(0).epoch;
    stage.take(Step::Restart(0)).expect("no violation");
    stage.act(Step::Round(0), ALL).expect("no violation");
    assert!(!stage.process(0).is_blank() && stage.process(0).epoch != formed);
    (stage, late, formed)
}

#[test]
fn a_late_append_of_another_formation_is_refused_inside_an_epoch() {
    let (mut stage, late, _) = late_append();
    stage.act(Step::Replicate(0), ALL).expect("no violation");
    let epoch = stage.process(2).epoch;
    stage.take(Step::Deliver(late)).expect("no violation");
    assert_eq!(stage.process(2).epoch, epoch);
    assert_one_epoch(&mut stage);
    assert_eq!(stage.process(0).epoch, epoch);
}

#[test]
fn who_a_late_append_takes_into_a_dead_formation_comes_back() {
    let (mut stage, late, dead) = late_append();
    let living = stage.process(0).epoch;
    stage.take(Step::Deliver(late)).expect("no violation");
    assert_eq!(stage.process(2).epoch, dead);
    assert_one_epoch(&mut stage);
    assert_eq!(stage.process(2).epoch, living);
}

#[test]
fn a_coordinator_that_dies_before_any_append_leaves_no_epoch() {
    let mut stage = Stage::new(3, None);
    stage.act(Step::Round(0), &[0, 1, 2]).expect("no violation");
    let first = stage.world.processes[0].epoch;
    stage.take(Step::Restart(0)).expect("no violation");
    stage.act(Step::Round(0), &[0, 1, 2]).expect("no violation");
    stage.act(Step::Replicate(0), &[0, 1, 2]).expect("no violation");
    let epochs: Vec<_> = stage.world.processes.iter().map(|process| process.epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0] && *epoch != first), "{epochs:?}");
}

#[test]
fn with_one_id_missing_nobody_forms() {
    let mut stage = Stage::new(3, None);
    for _ in 0..3 {
        stage.act(Step::Round(0), &[0, 1]).expect("no violation");
    }
    assert!(stage.world.processes.iter().all(coracle_model::rules::Process::is_blank));
}
