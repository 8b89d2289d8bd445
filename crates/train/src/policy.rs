//! What the networks of a run compute in, by what they do.

use std::fmt;

use fewstep_torch::{Compute, Device};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// What the networks of a run compute in. Buffers are shared between roles, so either all roles are `f64` or none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Written")]
pub struct ComputePolicy {
    /// The network that is trained, forward and backward.
    pub student: Compute,
    /// Teacher and self-teacher.
    pub frozen: Compute,
    /// Every network when it is sampled: in evaluation, and by default from the model file.
    pub sampling: Compute,
}

/// How a config has it: one kind for all, or a table.
#[derive(Clone, Copy, Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ComputePolicy")]
enum Written {
    /// The same for all three.
    All(Compute),
    /// One for each.
    Roles(Roles),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ComputeRoles")]
struct Roles {
    /// The network that is trained, forward and backward.
    #[serde(default)]
    student: Compute,
    /// Teacher and self-teacher.
    #[serde(default)]
    frozen: Compute,
    /// Every network when it is sampled.
    #[serde(default)]
    sampling: Compute,
}

impl<'de> Deserialize<'de> for ComputePolicy {
    /// By hand, because of serde's own error where neither form fits: it names neither.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ComputePolicy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a kind to compute in, or a table with one for each of student, frozen and sampling",
                )
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> std::result::Result<ComputePolicy, E> {
                name.parse::<Compute>().map(ComputePolicy::from).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<ComputePolicy, A::Error> {
                let roles = Roles::deserialize(MapAccessDeserializer::new(map))?;
                let Roles { student, frozen, sampling } = roles;
                Ok(ComputePolicy { student, frozen, sampling })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl schemars::JsonSchema for ComputePolicy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

impl From<ComputePolicy> for Written {
    fn from(policy: ComputePolicy) -> Self {
        let ComputePolicy { student, frozen, sampling } = policy;
        if policy == student.into() {
            Self::All(student)
        } else {
            Self::Roles(Roles { student, frozen, sampling })
        }
    }
}

impl From<Compute> for ComputePolicy {
    /// The same for all.
    fn from(compute: Compute) -> Self {
        Self { student: compute, frozen: compute, sampling: compute }
    }
}

impl ComputePolicy {
    /// Whether all is `F32`, the default that files and configs leave out.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn is_f32(&self) -> bool {
        *self == Self::default()
    }

    fn roles(self) -> [(&'static str, Compute); 3] {
        [("student", self.student), ("frozen", self.frozen), ("sampling", self.sampling)]
    }

    /// Checks that the roles fit together.
    ///
    /// # Errors
    /// One role is `f64` and another is not.
    pub fn validate(self) -> Result<()> {
        match self.roles().into_iter().find(|(_, compute)| compute.kind() != self.student.kind()) {
            None => Ok(()),
            Some((role, compute)) => Err(Error::Plan {
                key: "compute",
                problem: format!(
                    "has {} for the student and {compute} for `{role}`: f64 is for all roles or none, because they share \
                     their buffers",
                    self.student
                ),
            }),
        }
    }

    /// Checks that each choice works on a device.
    ///
    /// # Errors
    /// One does not; the error names those that do.
    pub fn check(self, device: Device) -> Result<()> {
        Ok(self.roles().into_iter().try_for_each(|(_, compute)| compute.check(device))?)
    }
}

impl fmt::Display for ComputePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { student, frozen, sampling } = self;
        match Written::from(*self) {
            Written::All(compute) => compute.fmt(f),
            Written::Roles(_) => write!(f, "{student} (frozen networks {frozen}, sampling {sampling})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_or_a_table_and_back() {
        let read = |text: &str| serde_json::from_str::<ComputePolicy>(text);
        let all = read(r#""bf16""#).unwrap();
        assert_eq!(all, Compute::Bf16.into());
        assert_eq!(serde_json::to_string(&all).unwrap(), r#""bf16""#);
        let mixed = read(r#"{"frozen":"bf16"}"#).unwrap();
        assert_eq!(
            (mixed.student, mixed.frozen, mixed.sampling),
            (Compute::F32, Compute::Bf16, Compute::F32)
        );
        assert_eq!(read(&serde_json::to_string(&mixed).unwrap()).unwrap(), mixed);
        assert_eq!(mixed.to_string(), "f32 (frozen networks bf16, sampling f32)");
        let wrong = |text| read(text).unwrap_err().to_string();
        assert!(wrong(r#"{"teacher":"bf16"}"#).contains("`student`, `frozen`, `sampling`"));
        assert!(wrong(r#""f16""#).contains("f32 or f64 or tf32 or bf16"));
        assert!(wrong("1").contains("a kind to compute in, or a table"));
        assert!(mixed.validate().is_ok());
        let split = ComputePolicy { sampling: Compute::F64, ..all };
        assert!(split.validate().unwrap_err().to_string().contains("`sampling`"));
    }
}
