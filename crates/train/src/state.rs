//! Everything that a run changes.

use fewstep_models::Network;
use fewstep_torch::{Adam, AdamConfig, Compute, Device, Ema, SafetensorsFile, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::{Plan, Stage, StageStart};

/// The state of a run: counters and flat buffers, nothing else. A checkpoint is this, written whole.
#[derive(Debug)]
pub struct TrainState {
    /// Stage in force, counted from 0; equal to the number of stages when the run is done.
    pub stage: usize,
    /// Samples done in the stage.
    pub nimg: u64,
    /// Whether the stage was entered: its student, teacher and averages are in place. So they are in every checkpoint.
    pub entered: bool,
    /// The student, `[total]`; all buffers have the kind that the run computes in.
    pub student: Tensor,
    /// The student's optimizer.
    pub adam: Adam,
    /// Average of the student used for inference, and as the next stage's teacher.
    pub inference: Ema,
    /// Average of the student that jumps in TRACT's targets.
    pub self_teacher: Option<Ema>,
    /// The frozen teacher, `[total]`.
    pub teacher: Option<Tensor>,
}

/// The counters of a state, stored as JSON beside its buffers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    stage: usize,
    nimg: u64,
    adam_steps: u64,
    inference_updates: u64,
    self_teacher_updates: u64,
}

impl TrainState {
    /// A run's start: freshly initialised parameters, of the kind that the run computes in.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn fresh(
        network: &dyn Network,
        seed: u64,
        adam: AdamConfig,
        compute: Compute,
        device: Device,
    ) -> Result<Self> {
        let student = network.layout().initial(seed)?.f_to_device(device)?.f_to_kind(compute.kind())?;
        Self::from_student(student, adam)
    }

    /// A run's start from given parameters, `[total]`; the run computes in their kind.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn from_student(student: Tensor, adam: AdamConfig) -> Result<Self> {
        Ok(Self {
            stage: 0,
            nimg: 0,
            entered: false,
            adam: Adam::new(adam, &student)?,
            inference: Ema::of(&student)?,
            self_teacher: None,
            teacher: None,
            student,
        })
    }

    /// Prepares the first step of its stage; does nothing inside one.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn enter(&mut self, stage: &Stage, seed: u64, adam: AdamConfig) -> Result<()> {
        if self.entered {
            return Ok(());
        }
        match stage.start {
            StageStart::Fresh => {}
            StageStart::FromTeacher => self.replace_student(copy(&self.inference.flat)?, adam)?,
            StageStart::NewStudent { from_teacher } => {
                let student = new_student(stage, &self.inference.flat, seed, from_teacher)?;
                self.replace_student(student, adam)?;
            }
            StageStart::CarryOn => {
                // Before the new one is made, the old one goes.
                self.teacher = None;
                self.teacher = Some(copy(&self.inference.flat)?);
            }
        }
        let asks = stage.objective.asks();
        if !asks.teacher {
            self.teacher = None;
        }
        self.self_teacher = match (asks.self_teacher, self.self_teacher.take()) {
            (false, _) => None,
            (true, None) => Some(Ema::of(&self.student)?),
            (true, some) => some,
        };
        self.entered = true;
        Ok(())
    }

    /// Goes on to the next stage, which is not entered yet.
    pub(crate) fn leave_stage(&mut self) {
        self.stage += 1;
        self.nimg = 0;
        self.entered = false;
    }

    /// The inference average becomes the teacher, `student` the student, `[total]` of its own network; new Adam, new
    /// averages.
    fn replace_student(&mut self, student: Tensor, adam: AdamConfig) -> Result<()> {
        self.self_teacher = None;
        self.teacher = Some(std::mem::replace(&mut self.inference, Ema::of(&student)?).flat);
        self.adam = Adam::new(adam, &student)?;
        self.student = student;
        Ok(())
    }

    /// The buffers by name in a fixed order, and the counters as JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub(crate) fn to_parts(&self) -> Result<(Vec<(String, Tensor)>, String)> {
        let mut tensors = vec![
            ("student", &self.student),
            ("adam.m", &self.adam.m),
            ("adam.v", &self.adam.v),
            ("inference", &self.inference.flat),
        ];
        tensors.extend(self.self_teacher.iter().map(|e| ("self_teacher", &e.flat)));
        tensors.extend(self.teacher.iter().map(|t| ("teacher", t)));
        let counters = Counters {
            stage: self.stage,
            nimg: self.nimg,
            adam_steps: self.adam.steps,
            inference_updates: self.inference.updates,
            self_teacher_updates: self.self_teacher.as_ref().map_or(0, |e| e.updates),
        };
        let card = serde_json::to_string(&counters).map_err(std::io::Error::other)?;
        Ok((tensors.into_iter().map(|(n, t)| (n.to_owned(), t.shallow_clone())).collect(), card))
    }

    /// The state from a stored file of a run that follows `plan`.
    pub(crate) fn from_stored(
        mut file: SafetensorsFile,
        plan: &Plan,
        device: Device,
        path: &std::path::Path,
    ) -> Result<Self> {
        let bad = |problem: String| Error::File { path: path.to_owned(), problem };
        let card = file.card.as_deref().ok_or_else(|| bad("has no counters".into()))?;
        let c: Counters = serde_json::from_str(card).map_err(|e| bad(format!("counters: {e}")))?;
        let (stage, compute) = (plan.stage(c.stage)?, plan.compute.student);
        let mut take = |name: &str| -> Result<Option<Tensor>> {
            let network = match name {
                "teacher" => &stage.teacher,
                _ => &stage.network,
            };
            let total = network.layout().total();
            let Some(t) = file.tensors.remove(name) else { return Ok(None) };
            if t.size() != [total as i64] || t.kind() != compute.kind() {
                let found = format!("{:?} {:?}", t.kind(), t.size());
                return Err(bad(format!(
                    "buffer `{name}`: expected {total} numbers of {compute}, got {found}"
                )));
            }
            Ok(Some(t.f_to_device(device)?))
        };
        let missing = |name: &str| bad(format!("buffer `{name}` is missing"));
        let student = take("student")?.ok_or_else(|| missing("student"))?;
        let m = take("adam.m")?.ok_or_else(|| missing("adam.m"))?;
        let v = take("adam.v")?.ok_or_else(|| missing("adam.v"))?;
        let inference = take("inference")?.ok_or_else(|| missing("inference"))?;
        let self_teacher = take("self_teacher")?.map(|flat| Ema { flat, updates: c.self_teacher_updates });
        Ok(Self {
            stage: c.stage,
            nimg: c.nimg,
            entered: true,
            student,
            adam: Adam::restore(plan.adam, m, v, c.adam_steps),
            inference: Ema { flat: inference, updates: c.inference_updates },
            self_teacher,
            teacher: take("teacher")?,
        })
    }
}

/// A buffer of its own with the same values.
pub(crate) fn copy(flat: &Tensor) -> Result<Tensor> {
    Ok(Ema::of(flat)?.flat)
}

/// The start of a student of another network than its teacher's: drawn afresh, and, if asked, with the teacher's tensors
/// wherever name and shape agree.
fn new_student(stage: &Stage, teacher: &Tensor, seed: u64, from_teacher: bool) -> Result<Tensor> {
    let layout = stage.network.layout();
    if from_teacher {
        return Ok(layout.initial_from(seed, stage.teacher.layout(), teacher)?.0);
    }
    Ok(layout.initial(seed)?.f_to_device(teacher.device())?.f_to_kind(teacher.kind())?)
}
