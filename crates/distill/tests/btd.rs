//! BTD beside TRACT.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_distill::{Btd, BtdConfig, Error, LastStep, Tract};
use fewstep_models::exact::Gaussian;
use fewstep_schedules::{Schedule, Transition};
use setting::{batch, max_abs, phase, scalar, unclipped};

#[test]
fn btd_is_tract_with_groups_of_two_taught_by_the_teacher_alone() {
    let halved = phase(Schedule::default(), &[8, 4]);
    let tops: Vec<Transition> = (0..4).map(|g| halved.transition(g, 0).unwrap()).collect();
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let btd = Btd::new(halved.clone(), BtdConfig::default()).unwrap();
    let tract = Tract::new(halved.clone(), unclipped()).unwrap();
    let states = tract.states(&teacher, &teacher, &batch(4), &tops).unwrap();
    let (want, got) = (&states, btd.states(&teacher, &batch(4), &tops).unwrap());
    assert_eq!(got.x_t, want.x_t);
    for g in 1..4 {
        assert_eq!(got.x0.get(g), want.x0.get(g));
    }
    // The last step has a rule of its own: the teacher's answer at the second half step, not the landing on index 0, whose
    // noise is small but not zero. The two differ by as much.
    assert_eq!(got.x0.get(0), states.jump_x0.get(0));
    assert_ne!(got.x0.get(0), want.x0.get(0));
    let one = halved.transition(0, 1).unwrap();
    let e = btd.states(&teacher, &batch(1), &[one]).unwrap_err();
    assert!(e.to_string().contains("two teacher steps"), "{e}");
    let e = Btd::new(phase(Schedule::default(), &[8, 2]), BtdConfig::default()).unwrap_err();
    assert!(matches!(e, Error::NoHalving { from: 8, to: 2 }), "{e}");
}

#[test]
fn btd_over_one_group_of_two_equals_tract_in_target() {
    // T = 2: on a variance exploding grid index 0 is noise free, so the last step's rule is the landing itself.
    let teacher = Gaussian { mean: scalar(0.2), std: 0.5 };
    let both = |schedule, config| {
        let phase = phase(schedule, &[2, 1]);
        let top = [phase.transition(0, 0).unwrap()];
        let tract = Tract::new(phase.clone(), unclipped()).unwrap();
        let want = tract.states(&teacher, &teacher, &batch(1), &top).unwrap();
        let got = Btd::new(phase, config).unwrap().states(&teacher, &batch(1), &top).unwrap();
        (want, got)
    };
    let (want, got) = both(Schedule::karras(), BtdConfig::default());
    // The second half step ends at the jump's x0; one step from sigma = 80 to 0 lands on its target.
    assert!(max_abs(got.x0 - want.x0) < 1e-13);
    // Where index 0 has some noise, they agree without that rule, to the bit.
    let landing = BtdConfig { last_step: LastStep::Landing, ..BtdConfig::default() };
    let (want, got) = both(Schedule::default(), landing);
    assert_eq!(got.x0, want.x0);
}
