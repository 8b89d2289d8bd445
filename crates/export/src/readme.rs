//! The model card that goes with an exported model: what it is, how it was measured, how it is run.

use std::fmt::Write as _;

use fewstep_samplers::{ModelCard, Role};

/// What a model card says beside the model itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Name of the model.
    pub name: String,
    /// Licence of the teacher, as its own model card names it; the student carries it.
    pub licence: Option<String>,
    /// Numbers that were measured, one line each, with how they were measured.
    pub numbers: Vec<String>,
}

/// What a format says of itself in a model card.
pub(crate) struct Usage<'a> {
    /// The library that loads it, as model cards name it.
    pub(crate) library: &'a str,
    /// How it is loaded and run.
    pub(crate) call: String,
    /// How it comes back to fewstep.
    pub(crate) back: &'a str,
}

/// The text of `README.md` for a model in the steps that it was made for.
pub(crate) fn readme(card: &ModelCard, about: &About, usage: &Usage<'_>) -> String {
    let steps = card.own_steps();
    let [channels, height, width] = card.model.image_shape();
    let mut text = String::from("---\n");
    // Writing to a text cannot fail.
    if let Some(licence) = &about.licence {
        let _ = writeln!(text, "license: {licence}");
    }
    let _ = write!(
        text,
        "library_name: {}\npipeline_tag: unconditional-image-generation\ntags:\n- fewstep\n- distillation\n---\n\n",
        usage.library
    );
    let what = match card.role {
        Role::Student => "a few-step generator, distilled by fewstep",
        Role::Teacher => "a diffusion model",
    };
    let calls = if steps == 1 { "one step".to_owned() } else { format!("{steps} steps") };
    let _ = write!(
        text,
        "# {}\n\nThis is {what}. It makes images of {width} x {height} pixels, {channels} channel(s), in {calls}. \
         Its levels and times are those of these steps only: no other number of steps is right.\n\n",
        about.name
    );
    text += &usage.call;
    text += "\n## Numbers\n\n";
    match &about.numbers[..] {
        [] => text += "None were measured with this export.\n",
        lines => lines.iter().for_each(|line| text += &format!("- {line}\n")),
    }
    text += "\n## Origin\n\n";
    let _ = writeln!(text, "- data set: {}", card.dataset);
    if let Some(source) = &card.source {
        let _ = writeln!(text, "- imported from: {} (sha256 {})", source.file, source.sha256);
    }
    let _ = writeln!(text, "- samples seen in training: {}", card.samples);
    let _ = writeln!(text, "- fewstep {}; {}", card.version, usage.back);
    if about.licence.is_none() {
        text += "- licence: not known to fewstep; the teacher's applies\n";
    }
    text
}
