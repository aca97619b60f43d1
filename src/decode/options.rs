use std::sync::Arc;

use crate::checkpoint::{EarlyStopping, GenerationConfig};
use crate::models::ModelInfo;
use crate::{Error, Result};

/// How outputs are searched. Fields are named as in transformers' `GenerationConfig`, lengths
/// count the tokens written, the end of sentence included.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Hypotheses kept at each step; 1 is greedy search.
    pub num_beams: usize,
    /// Hypotheses returned, at most `num_beams`.
    pub n_best: usize,
    /// Most tokens of an output.
    pub max_length: usize,
    /// Fewest tokens of an output.
    pub min_length: usize,
    /// Exponent of the length that a hypothesis' score is divided by; above 0 longer outputs gain.
    pub length_penalty: f32,
    /// When the search of a sentence ends.
    pub early_stopping: EarlyStopping,
    /// No n-gram of this size occurs twice; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Factor on the log-probability of a token already written; 1 is none. In greedy search too,
    /// where transformers applies it to logits.
    pub repetition_penalty: f32,
    /// Whether probabilities are made to sum to one again after tokens were banned.
    pub renormalize_logits: bool,
    /// Sequences never written.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// The first token, if it is given.
    pub forced_bos_token_id: Option<u32>,
    /// The last token of an output that reaches `max_length`.
    pub forced_eos_token_id: Option<u32>,
    /// Tokens that end an output.
    pub eos_token_id: Vec<u32>,
    /// Whether an output that runs in circles is searched a second time without repeated n-grams,
    /// and outputs are bounded by three times the source's length (as marian-decoder's
    /// `--max-length-factor 3`).
    pub guard_loops: bool,
    /// By target id, whether a token has a letter; of ids beyond it that is not known. Words come four
    /// times in a row only in a loop, digits also in 10,000.
    pub letters: Arc<[bool]>,
}

impl Options {
    /// What a checkpoint asks for.
    pub fn new(generation: &GenerationConfig, model: &ModelInfo) -> Self {
        // The start token counts in `max_length`.
        let max_length = generation.max_new_tokens.unwrap_or(generation.max_length - 1);
        Options {
            num_beams: generation.num_beams,
            n_best: 1,
            max_length: max_length.clamp(1, model.max_positions),
            min_length: generation.min_length.saturating_sub(1),
            length_penalty: generation.length_penalty,
            early_stopping: generation.early_stopping,
            no_repeat_ngram_size: generation.no_repeat_ngram_size,
            repetition_penalty: generation.repetition_penalty,
            renormalize_logits: generation.renormalize_logits,
            bad_words_ids: generation.bad_words_ids.clone(),
            forced_bos_token_id: generation.forced_bos_token_id,
            forced_eos_token_id: generation.forced_eos_token_id,
            eos_token_id: generation.eos_token_id.clone(),
            guard_loops: false,
            letters: Arc::default(),
        }
    }

    /// Refuses values that no search can be made with.
    pub(super) fn validate(&self, model: &ModelInfo) -> Result<()> {
        let check = |ok: bool, message: String| match ok {
            true => Ok(()),
            false => Err(Error::Usage(message)),
        };
        check(
            (1..=self.num_beams).contains(&self.n_best),
            format!("{} best outputs of {} beams", self.n_best, self.num_beams),
        )?;
        check(
            (1..=model.max_positions).contains(&self.max_length),
            format!(
                "outputs of {} tokens; this model writes 1 to {}",
                self.max_length, model.max_positions
            ),
        )?;
        check(self.length_penalty.is_finite(), "a length penalty that is no number".into())?;
        let mut ids = self.eos_token_id.iter().chain(&self.forced_bos_token_id);
        let outside = ids
            .by_ref()
            .chain(&self.forced_eos_token_id)
            .find(|&&id| id as usize >= model.target_vocab);
        check(outside.is_none(), format!("no target token has the id {}", outside.unwrap_or(&0)))
    }

    /// Continuations looked at in each step: so many that as many as there are beams go on, even
    /// if all hypotheses end.
    pub(super) fn candidates(&self) -> usize {
        match self.num_beams {
            1 => 1,
            beams => beams * (1 + self.eos_token_id.len()).max(2),
        }
    }
}
