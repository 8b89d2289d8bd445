//! A phase may have another objective than the one before it, and objective and network may come from outside these crates.
#![allow(missing_docs, clippy::unwrap_used)]

mod pieces;
mod setting;

use std::sync::Arc;

use fewstep_distill::{Asks, Batch, Objective, Target, Teachers};
use fewstep_models::{Architecture, Conditions, Levels, ModelConfig, Network};
use fewstep_random::Stream;
use fewstep_samplers::diffuse;
use fewstep_schedules::{NoiseGrid, Schedule};
use fewstep_torch::{Device, Init, Kind, Layout, LayoutBuilder, ParamId, Params, Tensor, no_grad};
use fewstep_train::{CheckpointStore, Error, Plan, StageStart};
use pieces::ends_in_the_same_bits;
use setting::{Setting, dataset, phase, plan, stage};

#[test]
fn one_phase_may_be_btd_and_the_next_tract() {
    const STEPS: [usize; 5] = [16, 8, 4, 2, 1];
    let s = Setting::new(8, 4);
    let of = |name: &str, k: usize, start| {
        stage(&format!("phase {}", k + 1), &s.network, phase(name, &STEPS, k), start, 2)
    };
    let teacher = stage("teacher", &s.network, Arc::clone(&s.denoising), StageStart::Fresh, 2);
    use StageStart::{CarryOn, FromTeacher};
    let plan = plan(vec![
        teacher,
        of("btd", 0, FromTeacher),
        of("tract", 1, CarryOn),
        of("btd", 2, CarryOn),
        of("tract", 3, FromTeacher),
    ]);
    let whole = ends_in_the_same_bits(&plan, &dataset());
    let mut seen = whole.seen;
    seen.dedup();
    // BTD asks the teacher, TRACT its self-teacher too, denoising neither.
    let want = [(0, false, false), (1, true, false), (2, true, true), (3, true, false), (4, true, true)];
    assert_eq!(seen, want);
}

/// One factor and one image: `x0_hat = scale x_t / sqrt(alpha^2 + sigma^2) + image`.
#[derive(Debug)]
struct Affine {
    layout: Arc<Layout>,
    scale: ParamId,
    image: ParamId,
}

impl Affine {
    fn new() -> Self {
        let mut b = LayoutBuilder::new();
        let scale = b.param("scale", &[1], Init::Uniform(0.5)).unwrap();
        let image = b.param("image", &[1, 8, 8], Init::Normal(0.1)).unwrap();
        Self { layout: Arc::new(b.build()), scale, image }
    }
}

impl Network for Affine {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn image_shape(&self) -> [i64; 3] {
        [1, 8, 8]
    }

    fn denoise(
        &self,
        p: &Params,
        x_t: &Tensor,
        at: &Levels,
        _: Conditions<'_>,
    ) -> fewstep_models::Result<Tensor> {
        let x = x_t.f_div(&at.column(x_t.device(), |l| l.alpha.hypot(l.sigma))?)?.f_to_kind(p.kind())?;
        Ok(x.f_mul(&p[self.scale])?.f_add(&p[self.image])?.f_to_kind(Kind::Double)?)
    }
}

/// Consistency training: at each level the student says what its own average says one level below, with the same noise.
#[derive(Debug)]
struct Consistency {
    grid: NoiseGrid,
}

impl Objective for Consistency {
    fn asks(&self) -> Asks {
        Asks { teacher: false, self_teacher: true }
    }

    fn target(&self, teachers: &Teachers<'_>, batch: &Batch) -> fewstep_distill::Result<Target> {
        let _guard = no_grad();
        let steps = self.grid.steps() as f64;
        let below: Vec<usize> =
            batch.draws.units(Stream::Custom(1)).iter().map(|unit| (unit * steps) as usize).collect();
        let levels = |up: usize| -> fewstep_distill::Result<Levels> {
            let levels = below.iter().map(|i| self.grid.level(i + up));
            Ok(Levels::new(levels.collect::<fewstep_schedules::Result<_>>()?))
        };
        let (t, s) = (levels(1)?, levels(0)?);
        let x_s = diffuse(&batch.x0, &batch.noise, &s)?;
        let x0 = teachers.self_teacher()?.denoise(&x_s, &s)?;
        let x_t = diffuse(&batch.x0, &batch.noise, &t)?;
        let weights = vec![1.0; t.len()];
        Ok(Target { x_t, at: t, x0, weights, reduction: fewstep_distill::Reduction::Mean })
    }
}

fn from_elsewhere(objective: Arc<dyn Objective>) -> Plan {
    let network: Arc<dyn Network> = Arc::new(Affine::new());
    let s = Setting::new(8, 4);
    let teacher = stage("teacher", &network, Arc::clone(&s.denoising), StageStart::Fresh, 3);
    plan(vec![teacher, stage("student", &network, objective, StageStart::FromTeacher, 4)])
}

#[test]
fn a_network_and_an_objective_of_the_user_are_trained_and_resumed() {
    let grid = Schedule::default().grid(16).unwrap();
    let plan = from_elsewhere(Arc::new(Consistency { grid }));
    plan.validate().unwrap();
    let network = &plan.stages[1].network;
    assert_eq!(network.n_params(), 65);
    let description = ModelConfig::of(network.as_ref()).unwrap();
    let Architecture::Custom(custom) = &description.network else { panic!("{description:?}") };
    assert!(custom.name.contains("Affine"), "{}", custom.name);

    let whole = ends_in_the_same_bits(&plan, &dataset());
    assert_eq!(whole.seen.last(), Some(&(1, false, true)), "it asks its own average alone");
    let state = whole.state.unwrap();
    assert_eq!((state.adam.steps, state.inference.updates), (4, 4));
    assert_ne!(state.student, network.layout().initial(plan.seed).unwrap());
    // The checkpoint is this network's.
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), "plan", 1).unwrap();
    store.save(&state, 42, None).unwrap();
    let restored = store.load_newest(&plan, Device::Cpu).unwrap().unwrap().state;
    assert_eq!(restored.student, state.student);
    let e = store.load_newest(&Setting::new(8, 4).plan(3), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("buffer `student`: expected"), "{e}");
}

/// Gives one loss too few, and asks nobody.
#[derive(Debug)]
struct Short;

impl Objective for Short {
    fn asks(&self) -> Asks {
        Asks::default()
    }

    fn target(&self, _: &Teachers<'_>, batch: &Batch) -> fewstep_distill::Result<Target> {
        let at = Levels::uniform(Schedule::default().at(0.5), batch.len());
        let (x_t, x0) = (batch.noise.shallow_clone(), batch.x0.shallow_clone());
        Ok(Target { x_t, at, x0, weights: vec![1.0; batch.len()], reduction: Default::default() })
    }

    fn losses(
        &self,
        student: &dyn fewstep_models::Denoiser,
        teachers: &Teachers<'_>,
        batch: &Batch,
    ) -> fewstep_distill::Result<Tensor> {
        Ok(self.target(teachers, batch)?.losses(student)?.f_narrow(0, 0, batch.len() as i64 - 1)?)
    }
}

#[test]
fn what_an_objective_of_the_user_does_wrong_is_named() {
    let plan = from_elsewhere(Arc::new(Short));
    let dir = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(dir.path(), "plan", 1).unwrap();
    let network = plan.stages[0].network.as_ref();
    let state =
        fewstep_train::TrainState::fresh(network, 0, plan.adam, plan.compute.student, Device::Cpu).unwrap();
    let trainer = fewstep_train::Trainer { plan: &plan, store: &store, device: Device::Cpu };
    let e = trainer.run(state, &dataset(), &false.into(), &mut ()).unwrap_err();
    assert!(matches!(e, Error::Plan { key: "objective", .. }), "{e}");
    assert!(e.to_string().contains("gives 3 losses for 4 images"), "{e}");
    // A stage that asks a teacher cannot be the first.
    let s = Setting::new(8, 4);
    let plan = setting::plan(vec![s.distillation(StageStart::Fresh)]);
    let e = plan.validate().unwrap_err().to_string();
    assert!(e.contains("start") && e.contains("phase 1"), "{e}");
}

#[test]
fn stages_that_cannot_follow_each_other_are_refused_before_anything_is_trained() {
    const STEPS: [usize; 3] = [16, 4, 1];
    let (s, other) = (Setting::new(8, 4), Setting::new(16, 4));
    let teacher = || stage("teacher", &s.network, Arc::clone(&s.denoising), StageStart::Fresh, 2);
    let of = |network, k: usize, start| stage("phase", network, phase("tract", &STEPS, k), start, 2);
    let refused = |second| plan(vec![teacher(), second]).validate().unwrap_err().to_string();
    assert!(refused(of(&other.network, 0, StageStart::FromTeacher)).starts_with("teacher: stage `phase`"));
    let mut wider = of(&other.network, 0, StageStart::CarryOn);
    wider.teacher = Arc::clone(&s.network);
    assert!(refused(wider.clone()).starts_with("network: stage `phase`"));
    wider.start = StageStart::NewStudent { from_teacher: true };
    plan(vec![teacher(), wider]).validate().unwrap();
    let again = stage("again", &s.network, Arc::clone(&s.denoising), StageStart::Fresh, 2);
    assert!(refused(again).contains("forget"));
}
