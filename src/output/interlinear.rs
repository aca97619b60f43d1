//! For reading with one's own eyes: each sentence, its translation, and under it the source words
//! of every stretch of it.
//!
//! Arabic stands at the end of its line, isolated from the rest, so that a terminal that writes
//! from right to left and one that does not both keep the columns.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Piece, Writer};
use crate::translate::{Target, Translation};

/// Columns of English that source words are lined up behind.
const WIDTH: usize = 28;
/// First strong isolate and its end: what stands between does not turn the line around.
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

#[derive(Default)]
pub(super) struct Interlinear {
    sentences: usize,
}

impl Writer for Interlinear {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        let Piece::Translated(translation, _) = piece else { return Ok(()) };
        if self.sentences > 0 {
            writeln!(out)?;
        }
        self.sentences += 1;
        let source: Vec<&str> = translation.source.split_whitespace().collect();
        writeln!(out, "{}. {}", self.sentences, isolated(&source.join(" ")))?;
        for target in translation.targets.iter().take(1) {
            writeln!(out, "   {}", target.text)?;
            for group in groups(target) {
                line(out, translation, target, &group)?;
            }
        }
        for &warning in &translation.warnings {
            writeln!(out, "   ! {}", translation.message(warning))?;
        }
        Ok(())
    }
}

fn isolated(text: &str) -> String {
    format!("{}{text}{}", ISOLATE.0, ISOLATE.1)
}

/// Neighbouring target words that stand for the same source words.
struct Group {
    targets: std::ops::Range<usize>,
    sources: Vec<usize>,
    /// Mean score of its links; none for words that stand for nothing.
    score: Option<f32>,
}

fn groups(target: &Target) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for t in 0..target.words.len() {
        let links = || target.links.iter().filter(|link| link.target == t);
        let sources: Vec<usize> = links().map(|link| link.source).collect();
        let count = sources.len() as f32;
        let score = (count > 0.0).then(|| links().map(|link| link.score).sum::<f32>() / count);
        match groups.last_mut() {
            Some(group) if group.sources == sources => {
                // The least sure word speaks for the group.
                group.score = group.score.zip(score).map(|(a, b)| a.min(b));
                group.targets.end = t + 1;
            }
            _ => groups.push(Group { targets: t..t + 1, sources, score }),
        }
    }
    groups
}

fn line(
    out: &mut dyn Write,
    translation: &Translation,
    target: &Target,
    group: &Group,
) -> io::Result<()> {
    let first = target.words[group.targets.start];
    let last = target.words[group.targets.end - 1];
    let english = first.cover(last).of(&target.text);
    let pad = WIDTH.saturating_sub(english.width());
    write!(out, "     {english}{:pad$}  ", "")?;
    let Some(score) = group.score else { return writeln!(out, "-") };
    let words = group.sources.iter().map(|&s| translation.source_words[s].of(&translation.source));
    let words: Vec<&str> = words.collect();
    writeln!(out, "{score:.2}  {}", isolated(&words.join(" ")))
}
