//! Whether a checkpoint translates at all, asked of it when it is loaded.

use std::path::Path;

use crate::decode::force;
use crate::models::Seq2Seq;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Sentences that any Arabic to English model knows, and what they mean.
const PAIRS: [(&str, &str); 6] = [
    ("الكتاب على الطاولة.", "The book is on the table."),
    ("أين المدرسة؟", "Where is the school?"),
    ("قال الرئيس إن الحرب انتهت.", "The president said the war is over."),
    ("أحب القهوة والشاي.", "I like coffee and tea."),
    ("لا أعرف هذا الرجل.", "I do not know this man."),
    ("الماء في البيت.", "The water is in the house."),
];
/// How many must be recognized.
const NEEDED: usize = 5;
/// With how many other sentences each is confused.
const OTHERS: usize = 2;

/// Checks that the model finds the translation of a plain sentence likelier for that sentence than
/// for two others. One that does not has weights that do not belong to its vocabulary, or that were
/// not loaded as they were trained: what it prints is noise. Five of six must be right, which a
/// model that guesses reaches in two of a hundred cases.
pub fn self_test(model: &dyn Seq2Seq, tokenizer: &dyn Tokenizer, folder: &Path) -> Result<()> {
    let ids = |tokens: Vec<crate::tokenizer::Token>| -> Vec<u32> {
        tokens.into_iter().map(|token| token.id).collect()
    };
    let sources: Vec<Vec<u32>> =
        PAIRS.iter().map(|(source, _)| tokenizer.encode(source).map(ids)).collect::<Result<_>>()?;
    let targets: Vec<Vec<u32>> = PAIRS
        .iter()
        .map(|(_, target)| tokenizer.encode_target(target).map(ids))
        .collect::<Result<_>>()?;
    let (known, ids) = (model.info().target_vocab, targets.iter().flatten());
    if let Some(id) = ids.into_iter().find(|&&id| id as usize >= known) {
        return Err(Error::Garbage {
            path: folder.into(),
            detail: format!("its tokenizer writes the id {id}, its weights know {known}"),
        });
    }
    let count = PAIRS.len();
    let mut pairs = Vec::new();
    for (t, target) in targets.iter().enumerate() {
        pairs
            .extend((0..=OTHERS).map(|n| (sources[(t + n) % count].as_slice(), target.as_slice())));
    }
    let scores: Vec<f32> = force(model, &pairs, usize::MAX)?.iter().map(|h| h.score).collect();
    let ranked = scores.chunks_exact(1 + OTHERS);
    let right = ranked.filter(|scores| scores[1..].iter().all(|other| scores[0] > *other)).count();
    if right < NEEDED || scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::Garbage {
            path: folder.into(),
            detail: format!(
                "of {count} plain sentences it recognizes the translation of {right} only"
            ),
        });
    }
    Ok(())
}
