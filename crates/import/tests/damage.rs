//! Random changes to good checkpoints: each result is accepted or refused, and never a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::time::{Duration, Instant};

use fewstep_formats::{Checkpoint, DType, Value};
use made::{FILES, GUIDED, TRAINER, golden, hints, import};

/// A linear congruential generator: good enough to choose what to damage.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Replaces one of the options, at any depth.
fn damage_option(numbers: &mut Numbers, value: &mut Value) {
    let inner = match value {
        Value::List(values) if !values.is_empty() => {
            let i = numbers.below(values.len());
            values.get_mut(i)
        }
        Value::Map(pairs) if !pairs.is_empty() => {
            let i = numbers.below(pairs.len());
            pairs.get_mut(i).map(|(_, value)| value)
        }
        _ => None,
    };
    match inner {
        Some(inner) if numbers.below(8) > 0 => damage_option(numbers, inner),
        _ => {
            let wild = [0, 1, -1, 3, 7, 1 << 20, 1 << 40, i64::MAX, i64::MIN];
            *value = match numbers.below(6) {
                0 => Value::Null,
                1 => Value::Float([f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300][numbers.below(5)]),
                2 => Value::Text("standard".to_owned()),
                3 => Value::List(vec![Value::Int(wild[numbers.below(wild.len())]); numbers.below(4)]),
                _ => Value::Int(wild[numbers.below(wild.len())]),
            };
        }
    }
}

fn damage(numbers: &mut Numbers, file: &mut Checkpoint) {
    for _ in 0..=numbers.below(3) {
        let (i, j) = (numbers.below(file.arrays.len()), numbers.below(file.arrays.len()));
        match numbers.below(7) {
            0 => drop(file.arrays.swap_remove(i)),
            1 => {
                let name = file.arrays[j].name.clone();
                let other = std::mem::replace(&mut file.arrays[i].name, name);
                file.arrays[j].name = other;
            }
            2 => file.arrays[i].shape.reverse(),
            3 => file.arrays[i].shape.push(1),
            // Keep only the first rows, with a matching shape.
            4 => {
                let array = &mut file.arrays[i];
                if let Some(first) = array.shape.first_mut().filter(|first| **first > 1) {
                    let keep = 1 + numbers.below(*first - 1);
                    let row = array.data.len() / *first;
                    *first = keep;
                    array.data.truncate(keep * row);
                }
            }
            5 => {
                let array = &mut file.arrays[i];
                if array.dtype == DType::F32 {
                    array.dtype = DType::I32;
                }
            }
            _ => damage_option(numbers, &mut file.options),
        }
    }
}

#[test]
fn random_damage_is_refused_or_taken_and_never_a_panic() {
    for (k, name) in FILES.into_iter().chain([GUIDED, TRAINER]).enumerate() {
        let (whole, hints) = (golden(name), hints(name));
        let mut numbers = Numbers(k as u64);
        let (mut n, mut taken, start) = (0, 0, Instant::now());
        while start.elapsed() < Duration::from_secs(5) {
            let before = numbers.0;
            let mut file = whole.clone();
            damage(&mut numbers, &mut file);
            let outcome = std::panic::catch_unwind(|| import(&file, &hints).is_ok());
            let Ok(ok) = outcome else { panic!("{name}: panicked on the damage of {before}") };
            taken += usize::from(ok);
            n += 1;
        }
        println!("{name}: {n} damaged checkpoints, {taken} of them taken");
        assert!(taken < n, "the damage does nothing");
    }
}
