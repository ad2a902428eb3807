//! Rule 5: the leader crashes on its way through a replacement.
//!
//! With three members a crash of the leader beside a member that is not yet replaced is beyond the
//! bound, so who is left halts, and with five members it is not.

use coracle_model::message::Configuration;
use coracle_model::rules::Role;
use coracle_model::world::Step;

use crate::stage::{Stage, holds};

/// How far the replacement of the last member has come when the leader crashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reached {
    JointLocal,
    JointCommitted,
    FinalLocal,
    FinalOnNewOnly,
}

const EACH: [Reached; 4] =
    [Reached::JointLocal, Reached::JointCommitted, Reached::FinalLocal, Reached::FinalOnNewOnly];

fn latest(stage: &Stage, id: u8) -> Configuration {
    stage.process(id).configuration().expect("all have one").1
}

/// Process 0 leads and crashes; the last is the one replaced.
fn crashed(members: u8, reached: Reached) -> Stage {
    let mut stage = Stage::serving(members);
    let last = members - 1;
    let all: Vec<u8> = (0..members).collect();
    stage.take(Step::Restart(last)).expect("no violation");
    stage.feed(0, last, &all);
    let new = stage.process(last).me;
    assert_eq!(stage.take(Step::Manage(0)), Ok(true));
    assert!(latest(&stage, 0).new.is_some());
    if reached != Reached::JointLocal {
        stage.act(Step::Replicate(0), &all).expect("no violation");
        assert_eq!(usize::from(stage.process(0).commit), stage.process(0).log.len());
        assert!(latest(&stage, 1).new.is_some());
    }
    if matches!(reached, Reached::FinalLocal | Reached::FinalOnNewOnly) {
        assert_eq!(stage.take(Step::Manage(0)), Ok(true));
        assert!(latest(&stage, 0).new.is_none() && latest(&stage, 0).names(new));
        assert!(latest(&stage, 1).new.is_some());
    }
    if reached == Reached::FinalOnNewOnly {
        stage.act(Step::Replicate(0), &[0, last]).expect("no violation");
        assert_eq!(latest(&stage, last), latest(&stage, 0));
        assert!(latest(&stage, 1).new.is_some());
    }
    stage.take(Step::Restart(0)).expect("no violation");
    stage
}

#[test]
fn of_three_members_who_is_left_halts_unless_the_new_one_has_the_final_entry() {
    for reached in EACH {
        let mut stage = crashed(3, reached);
        let epoch = stage.process(1).epoch;
        stage.live(&[0, 1, 2]).expect("no violation");
        assert!(holds(stage.process(1), 1), "{reached:?}");
        let serves = reached == Reached::FinalOnNewOnly;
        assert_eq!(stage.process(1).halted, !serves, "{reached:?}\n{}", stage.world.summary());
        assert!(
            stage.world.processes.iter().all(|process| {
                process.role != Role::Leader || serves && process.epoch == epoch
            })
        );
        if serves {
            stage.serve(&[0, 1, 2]);
            assert!(stage.world.is_whole(None), "{}", stage.world.summary());
            assert!(stage.world.processes.iter().all(|process| holds(process, 1)));
        }
    }
}

#[test]
fn of_five_members_who_is_left_replaces_both() {
    for reached in EACH {
        let mut stage = crashed(5, reached);
        let epoch = stage.process(1).epoch;
        let all = [0, 1, 2, 3, 4];
        stage.live(&all).expect("no violation");
        stage.serve(&all);
        assert!(stage.world.is_whole(None), "{reached:?}\n{}", stage.world.summary());
        assert!(!stage.world.is_beyond, "{reached:?}");
        for process in &stage.world.processes {
            assert!(process.epoch == epoch && holds(process, 1), "{reached:?}");
        }
    }
}
