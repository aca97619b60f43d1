//! Options of every command that runs a model, and how they become a [`Translator`].

use std::path::Path;
use std::time::Instant;

use clap::Args;
use tarjim::align;
use tarjim::hub::registry::{self, Manifest, Task};
use tarjim::hub::{Hub, Resolved};
use tarjim::nn::Compute;
use tarjim::nn::kernels::Kernel;
use tarjim::summarize::{Reads, Summarizer};
use tarjim::text::Normalization;
use tarjim::translate::{Settings, Translator};
use tarjim::{Error, Result};

use super::models::HubArgs;
use super::progress::HubProgress;
use super::{Volume, say};

/// Which model runs, and how.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// Name (see `tarjim models list`), hub repository, or folder laid out as on the hub
    #[arg(
        long,
        short,
        value_name = "ID|PATH",
        env = "TARJIM_MODEL",
        help_heading = "Model options"
    )]
    model: Option<String>,
    /// How matrix products are computed
    #[arg(long, value_enum, default_value = "auto", help_heading = "Model options")]
    compute: ComputeArg,
    /// Use a model that fails the check made when it is loaded
    #[arg(long, help_heading = "Model options")]
    no_self_test: bool,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Model options")]
    threads: Option<u16>,
    /// Source tokens worked on together: more is faster and takes more memory
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Model options")]
    batch_size: Option<u32>,
    /// What is rewritten in the source before translation: tashkeel and tatweel are stripped,
    /// presentation forms folded, bidi controls dropped, digits made ASCII; `none` for nothing
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum, default_values = ["tashkeel", "tatweel", "forms", "bidi"], help_heading = "Model options")]
    normalize: Vec<Rewriting>,
    /// Leave numbers and Latin words as the model first wrote them, even where the source has others
    #[arg(long, help_heading = "Model options")]
    no_restore: bool,
    /// Least score of a word link, 0 to 1
    #[arg(long, value_name = "SCORE", value_parser = share, help_heading = "Model options")]
    align_threshold: Option<f32>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum ComputeArg {
    /// In eight bits, several times faster, unless the check made when the model is loaded fails
    Auto,
    /// In eight bits
    Int8,
    /// In float32
    Float32,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Rewriting {
    Tashkeel,
    Tatweel,
    Forms,
    Bidi,
    Digits,
    None,
}

/// A number from 0 to 1.
pub fn share(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_string())?;
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err("not between 0 and 1".into()),
    }
}

/// A model ready to run.
pub struct Loaded {
    /// The model.
    pub translator: Translator,
    /// What its checkpoint and the options ask for.
    pub settings: Settings,
    /// Where it was found.
    pub resolved: Resolved,
    /// What its matrix products are computed in.
    pub compute: Compute,
}

/// A model that writes summaries, ready to run.
pub struct LoadedSummarizer {
    /// The model.
    pub summarizer: Summarizer,
    /// What it is to be given.
    pub reads: Reads,
    /// Where it was found.
    pub resolved: Resolved,
}

impl ModelArgs {
    /// Finds, loads and checks the model, and makes the threads it will run on.
    pub fn load(&self, volume: Volume) -> Result<Loaded> {
        self.load_named(self.model.as_deref(), volume)
    }

    /// What `--model` names, if that is a checkpoint of the registry that writes summaries.
    pub fn summarizer(&self) -> Option<&'static Manifest> {
        registry::find(self.model.as_deref()?).filter(|m| m.task == Task::Summarize)
    }

    /// As [`load`](Self::load), of the default model if `--model` names a summarizer.
    pub fn load_translator(&self, volume: Volume) -> Result<Loaded> {
        self.load_named(self.model.as_deref().filter(|_| self.summarizer().is_none()), volume)
    }

    /// Finds and loads a model that writes summaries. There is no check that tells whether it does, and so
    /// it is computed in eight bits only if that is asked for.
    pub fn load_summarizer(
        &self,
        name: &str,
        reads: Option<Reads>,
        volume: Volume,
    ) -> Result<LoadedSummarizer> {
        if registry::find(name).is_some_and(|manifest| manifest.task != Task::Summarize) {
            return Err(Error::Usage(format!("{name} translates and writes no summaries")));
        }
        let settings = self.hub.settings();
        let progress = HubProgress::new(&settings, volume);
        let resolved = Hub::new(settings).resolve(name, &progress)?;
        let began = Instant::now();
        let compute = match self.compute {
            ComputeArg::Int8 => Compute::Int8,
            ComputeArg::Auto | ComputeArg::Float32 => Compute::Float32,
        };
        let mut summarizer = Summarizer::open(&resolved.folder, compute)?;
        let known = resolved.manifest.map(|manifest| &manifest.source);
        let arabic = match known {
            Some(languages) => languages.iter().any(|language| language == "ar"),
            // Models of many languages are the ones that read Arabic.
            None => summarizer.is_multilingual(),
        };
        let reads = reads.unwrap_or(if arabic { Reads::Arabic } else { Reads::English });
        if let Some(manifest) = resolved.manifest {
            let (options, limit) = (&manifest.options, summarizer.max_positions());
            let decode = &mut summarizer.decode;
            decode.num_beams = options.beams.unwrap_or(decode.num_beams);
            decode.max_length = options.max_new_tokens.unwrap_or(decode.max_length).clamp(1, limit);
            decode.no_repeat_ngram_size =
                options.no_repeat_ngram.unwrap_or(decode.no_repeat_ngram_size);
            let tokens = options.max_input_tokens.unwrap_or(summarizer.max_input_tokens);
            summarizer.max_input_tokens = tokens.clamp(1, limit);
            summarizer.prefix = options.prefix.clone().unwrap_or_default();
        }
        if let Some(size) = self.batch_size {
            summarizer.batch_tokens = size as usize;
        }
        if reads == Reads::Arabic {
            summarizer.normalization = self.normalization()?;
        }
        if volume >= Volume::Verbose {
            say(&format!(
                "summarizer {} from {}, loaded in {:.2} s",
                resolved.name,
                resolved.folder.display(),
                began.elapsed().as_secs_f32()
            ));
        }
        Ok(LoadedSummarizer { summarizer, reads, resolved })
    }

    fn load_named(&self, model: Option<&str>, volume: Volume) -> Result<Loaded> {
        let settings = self.hub.settings();
        let progress = HubProgress::new(&settings, volume);
        let prepared = settings.prepared_dir.clone();
        let hub = Hub::new(settings);
        let resolved = match model {
            Some(model) => hub.resolve(model, &progress)?,
            None => {
                let (resolved, instead) = hub.resolve_default(&progress)?;
                if let Some(reason) = instead
                    && volume >= Volume::Normal
                {
                    say(&format!(
                        "warning: {reason}; using the small model {} that comes with the program, which is much worse",
                        resolved.name
                    ));
                }
                resolved
            }
        };
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .map_err(|error| Error::Usage(format!("cannot make {threads} threads: {error}")))?;
        }
        let began = Instant::now();
        let (translator, compute) = match self.compute {
            ComputeArg::Float32 => {
                (self.open(&resolved, Compute::Float32, &prepared)?, Compute::Float32)
            }
            ComputeArg::Int8 => (self.open(&resolved, Compute::Int8, &prepared)?, Compute::Int8),
            ComputeArg::Auto => match self.open(&resolved, Compute::Int8, &prepared) {
                Err(Error::Garbage { .. }) => {
                    (self.open(&resolved, Compute::Float32, &prepared)?, Compute::Float32)
                }
                opened => (opened?, Compute::Int8),
            },
        };
        if volume >= Volume::Verbose {
            let kernel = match compute {
                Compute::Float32 => "float32".into(),
                Compute::Int8 => format!("int8 ({})", Kernel::select()?.name()),
            };
            say(&format!(
                "model {} from {}, {kernel}, loaded in {:.2} s",
                resolved.name,
                resolved.folder.display(),
                began.elapsed().as_secs_f32()
            ));
        }
        let settings = self.settings(&translator, &resolved)?;
        Ok(Loaded { translator, settings, resolved, compute })
    }

    /// Loads the model and checks it.
    fn open(&self, resolved: &Resolved, compute: Compute, prepared: &Path) -> Result<Translator> {
        let (folder, head) = (&resolved.folder, resolved.alignment_head);
        let translator = Translator::open(folder, head, compute, Some(prepared))?;
        if !self.no_self_test {
            translator.self_test(&resolved.folder)?;
        }
        Ok(translator)
    }

    fn settings(&self, translator: &Translator, resolved: &Resolved) -> Result<Settings> {
        let mut settings = translator.settings();
        if let Some(manifest) = resolved.manifest {
            let (options, decode) = (&manifest.options, &mut settings.decode);
            let limit = translator.info().max_positions;
            let tokens = options.max_input_tokens.unwrap_or(settings.max_input_tokens);
            settings.max_input_tokens = tokens.clamp(1, limit);
            decode.num_beams = options.beams.unwrap_or(decode.num_beams);
            decode.max_length = options.max_new_tokens.unwrap_or(decode.max_length).clamp(1, limit);
            decode.no_repeat_ngram_size =
                options.no_repeat_ngram.unwrap_or(decode.no_repeat_ngram_size);
        }
        if let Some(size) = self.batch_size {
            settings.batch_tokens = size as usize;
        }
        if let Some(threshold) = self.align_threshold {
            settings.align = align::Options { threshold, ..settings.align };
        }
        settings.restore = !self.no_restore;
        settings.normalization = self.normalization()?;
        Ok(settings)
    }

    fn normalization(&self) -> Result<Normalization> {
        let has = |rewriting| self.normalize.contains(&rewriting);
        if has(Rewriting::None) && self.normalize.len() > 1 {
            return Err(Error::Usage("--normalize none goes with nothing else".into()));
        }
        Ok(Normalization {
            tashkeel: has(Rewriting::Tashkeel),
            tatweel: has(Rewriting::Tatweel),
            presentation_forms: has(Rewriting::Forms),
            bidi_controls: has(Rewriting::Bidi),
            digits: has(Rewriting::Digits),
        })
    }
}
