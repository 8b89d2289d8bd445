//! The objectives by name.

/// Declares [`ObjectiveConfig`](crate::ObjectiveConfig) over the descriptions of objectives.
macro_rules! objectives {
    ($($(#[$doc:meta])* $variant:ident($config:ty) = $name:literal,)*) => {
        /// The objective of a phase, as a config describes it: by its `kind`, with its options beside.
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "kind")]
        pub enum ObjectiveConfig {
            $($(#[$doc])* #[serde(rename = $name)] $variant($config),)*
        }

        impl ObjectiveConfig {
            /// Every name.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// The objective of this name with its default options.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant(<$config>::default())),)*
                    _ => None,
                }
            }

            /// The objective of `phase`, which is phase `index` of its plan, counted from 0.
            ///
            /// # Errors
            /// A phase that the objective cannot do, or options that are out of range.
            pub fn objective(
                &self,
                phase: fewstep_schedules::PhaseLevels,
                index: usize,
            ) -> Result<std::sync::Arc<dyn Objective>> {
                Ok(match self {
                    $(Self::$variant(config) => std::sync::Arc::new(config.objective(phase, index)?),)*
                })
            }

            /// How the first teacher's steps are taken.
            pub fn teacher_steps(&self) -> TeacherSteps {
                match self { $(Self::$variant(config) => config.teacher_steps(),)* }
            }

            /// Checks the options.
            ///
            /// # Errors
            /// Names the one that is out of range.
            pub fn validate(&self) -> Result<()> {
                match self { $(Self::$variant(config) => config.validate(),)* }
            }
        }

        impl Default for ObjectiveConfig {
            fn default() -> Self {
                Self::Tract(TractConfig::default())
            }
        }
    };
}

pub(crate) use objectives;
