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

/// The text of `README.md` for a pipeline of the steps that the model was made for.
pub(crate) fn readme(card: &ModelCard, about: &About) -> String {
    let steps = card.own_steps();
    let [channels, height, width] = card.model.image_shape();
    let mut text = String::from("---\n");
    // Writing to a text cannot fail.
    if let Some(licence) = &about.licence {
        let _ = writeln!(text, "license: {licence}");
    }
    text += "library_name: diffusers\npipeline_tag: unconditional-image-generation\ntags:\n- fewstep\n- distillation\n---\n\n";
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
    text += &call(card, steps);
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
    let _ = writeln!(
        text,
        "- fewstep {}; `fewstep.json` is its card, and `fewstep import` reads this folder back",
        card.version
    );
    if about.licence.is_none() {
        text += "- licence: not known to fewstep; the teacher's applies\n";
    }
    text
}

/// How the pipeline is called.
fn call(card: &ModelCard, steps: usize) -> String {
    if card.model.n_classes() == 0 {
        return format!(
            "```python\nfrom diffusers import DDIMPipeline\n\npipe = DDIMPipeline.from_pretrained(\"path/to/this/folder\")\n\
             images = pipe(batch_size=4, num_inference_steps={steps}).images\n```\n"
        );
    }
    format!(
        "The pipeline loads, but passes no labels; this loop does:\n\n```python\nimport torch\nfrom diffusers import DDIMPipeline\n\n\
         pipe = DDIMPipeline.from_pretrained(\"path/to/this/folder\")\nlabels = torch.tensor([0, 1, 2, 3])\n\
         x = torch.randn(4, pipe.unet.config.in_channels, pipe.unet.config.sample_size, pipe.unet.config.sample_size)\n\
         pipe.scheduler.set_timesteps({steps})\nwith torch.no_grad():\n    for t in pipe.scheduler.timesteps:\n        \
         out = pipe.unet(x, t, class_labels=labels).sample\n        x = pipe.scheduler.step(out, t, x).prev_sample\n\
         images = (x / 2 + 0.5).clamp(0, 1)\n```\n"
    )
}
