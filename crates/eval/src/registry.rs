//! The metrics, their statistics and the feature spaces by name: what the lists in `metrics/mod.rs` and `spaces/mod.rs`
//! declare.

/// Declares the choices that configs and flags know, over values of a trait that has `name` and `aliases`: an enum with
/// these names, and with the comments of the list in the JSON schema of configs.
macro_rules! choices {
    (
        $(#[doc = $about:literal])*
        enum $choices:ident, $what:literal, $access:ident -> $interface:ident {
            $($(#[doc = $doc:literal])* $variant:ident = $value:expr,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $choices {
            $($(#[doc = $doc])* $variant,)*
        }

        impl $choices {
            /// Every choice, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            #[doc = concat!("The ", $what, " itself.")]
            #[must_use]
            pub fn $access(self) -> &'static dyn $interface {
                match self { $(Self::$variant => &$value,)* }
            }

            /// As configs and flags have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.$access().name()
            }

            /// Its name and the other names that users write, in the order of the alphabet.
            pub(crate) fn names(self) -> Vec<&'static str> {
                let mut names = vec![self.name()];
                names.extend(self.$access().aliases());
                names.sort_unstable();
                names
            }

            /// The choice of this name.
            fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.names().contains(&name))
            }
        }

        impl std::str::FromStr for $choices {
            type Err = String;

            /// By its name, or by another that users write.
            fn from_str(name: &str) -> std::result::Result<Self, String> {
                Self::named(name).ok_or_else(|| {
                    let names = Self::ALL.iter().map(|choice| choice.name()).collect::<Vec<_>>().join(", ");
                    format!("`{name}` is no {}: expected one of {names}", $what)
                })
            }
        }

        impl serde::Serialize for $choices {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $choices {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                static NAMES: std::sync::LazyLock<Vec<&'static str>> =
                    std::sync::LazyLock::new(|| $choices::ALL.iter().flat_map(|choice| choice.names()).collect());
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::named(&name).ok_or_else(|| serde::de::Error::unknown_variant(&name, NAMES.as_slice()))
            }
        }

        impl schemars::JsonSchema for $choices {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($choices).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let choices = [$((Self::$variant, concat!($($doc, "\n"),*))),*];
                let choices = choices.map(|(choice, doc)| {
                    serde_json::json!({ "type": "string", "const": choice.name(), "description": doc.trim() })
                });
                let about = concat!($($about, "\n"),*).trim();
                schemars::json_schema!({ "description": about, "oneOf": choices })
            }
        }
    };
}

/// Declares [`Statistic`](crate::Statistic): for each what holds of its numbers, with the whole numbers that it depends on.
macro_rules! statistics {
    ($(
        $(#[$doc:meta])*
        $variant:ident $({ $($(#[$about:meta])* $option:ident: $number:ty,)* })? = $rules:path,
    )*) => {
        /// What is computed from two sets of features.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum Statistic {
            $($(#[$doc])* $variant $({ $($(#[$about])* $option: $number,)* })?,)*
            /// Of a metric outside these crates, by the name that it gave itself.
            Named($crate::name::Name),
        }

        impl Statistic {
            /// What holds of the statistics of this crate.
            pub(crate) const RULES: &[&$crate::statistic::Rules] = &[$(&$rules),*];

            /// What holds of its numbers.
            pub(crate) fn rules(&self) -> &'static $crate::statistic::Rules {
                match self {
                    $(Self::$variant { .. } => &$rules,)*
                    Self::Named(_) => &$crate::statistic::OWN,
                }
            }

            /// The numbers that it depends on, by their names.
            pub(crate) fn options(&self) -> Vec<(&'static str, u64)> {
                match self {
                    $(Self::$variant $({ $($option,)* })? => {
                        vec![$($((stringify!($option), u64::from(*$option)),)*)?]
                    })*
                    Self::Named(_) => Vec::new(),
                }
            }
        }
    };
}

/// Declares [`FeatureSpace`](crate::FeatureSpace) over the descriptions of spaces.
macro_rules! feature_spaces {
    ($($(#[$doc:meta])* $variant:ident($description:ty) = $stored:literal,)*) => {
        /// The space of a feature row, with everything that distinguishes it from other spaces.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum FeatureSpace {
            $($(#[$doc])* #[serde(rename = $stored)] $variant($description),)*
        }

        impl FeatureSpace {
            pub(crate) fn description(&self) -> &dyn $crate::space::Described {
                match self { $(Self::$variant(description) => description,)* }
            }

            /// What the spaces of this crate are called in records and in the names of metrics.
            pub(crate) fn labels() -> impl Iterator<Item = &'static str> {
                let spaces = [$((<$description as $crate::space::Described>::labels(), $stored)),*];
                spaces.into_iter().flat_map(|(labels, stored)| labels.iter().copied().chain([stored]))
            }
        }
    };
}

pub(crate) use {choices, feature_spaces, statistics};
