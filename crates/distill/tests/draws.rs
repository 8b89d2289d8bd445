//! Where objectives stand: functions of the samples' names, in the proportions that they promise.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_distill::{Btd, BtdConfig, Recipe, Tract, TractConfig};
use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::edm::{AdmConfig, SongConfig};
use fewstep_models::{Architecture, ModelConfig};
use fewstep_random::Draws;
use fewstep_samplers::Solver;
use fewstep_schedules::{PhasePlan, PhaseSteps, Schedule, Weighting};
use setting::phase;

#[test]
fn groups_are_uniform_and_so_are_steps_inside_them() {
    // Groups of one and seven steps: each is drawn half the time.
    let plan = PhasePlan::new(&[8.into(), PhaseSteps::Boundaries(vec![0, 1, 8])]).unwrap();
    let grid = Schedule::default().grid(8).unwrap();
    let tract = Tract::new(plan.on(&grid).unwrap().remove(0), TractConfig::default()).unwrap();
    let all = Draws::new(5, 1, (0..7000).collect());
    let draws = tract.draw(&all).unwrap();
    let count = |t: usize| draws.iter().filter(|d| d.t == grid.level(t).unwrap()).count() as f64;
    // Binomial deviations: sqrt(7000/4) = 42 for the first, sqrt(500) = 22 for the others; five of each.
    assert!((count(1) - 3500.0).abs() < 210.0, "{}", count(1));
    for t in 2..=8 {
        assert!((count(t) - 500.0).abs() < 110.0, "{t}: {}", count(t));
    }
    assert_eq!(tract.draw(&Draws::new(5, 1, vec![17])).unwrap()[0], draws[17]);
    assert_eq!(tract.draw(&all.slice(3..9)).unwrap(), draws[3..9]);
}

#[test]
fn btd_stands_at_the_tops_of_groups_alike() {
    let halved = phase(Schedule::default(), &[8, 4]);
    let tops: Vec<_> = (0..4).map(|group| halved.transition(group, 0).unwrap()).collect();
    let draws = Btd::new(halved, BtdConfig::default()).unwrap();
    let draws = draws.draw(&Draws::new(5, 1, (0..4000).collect())).unwrap();
    let counts = tops.iter().map(|top| draws.iter().filter(|drawn| *drawn == top).count());
    let counts: Vec<usize> = counts.collect();
    // A binomial deviation is 27; five of them.
    assert!(counts.iter().all(|n| n.abs_diff(1000) < 137), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 4000);
}

#[test]
fn a_family_has_the_schedule_that_its_files_do_not_hold() {
    let recipe = |network| Recipe::of(ModelConfig::from(network).family());
    let ddpm = recipe(Architecture::DdpmUnet(DdpmConfig::cifar10()));
    assert_eq!((ddpm.schedule, ddpm.teacher_steps.solver), (Schedule::default(), Solver::Ddim));
    for network in [
        Architecture::SongUnet(SongConfig::cifar10_ddpmpp()),
        Architecture::SongUnet(SongConfig::cifar10_ncsnpp()),
        Architecture::AdmUnet(AdmConfig::imagenet64()),
    ] {
        let edm = recipe(network);
        assert_eq!((edm.schedule, edm.teacher_steps.solver), (Schedule::karras(), Solver::Heun));
        assert_eq!(edm.denoising.weighting, Weighting::Edm { sigma_data: 0.5 });
        assert_eq!(edm.tract.weighting, edm.denoising.weighting);
    }
}
