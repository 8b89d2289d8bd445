//! The metrics and the feature spaces by name: what the lists in `metrics/mod.rs` and `spaces/mod.rs` declare.

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

pub(crate) use choices;
