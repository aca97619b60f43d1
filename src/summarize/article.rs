//! Articles: the sentences of a document, each with where it stands and what it is.

use std::io::Read;
use std::path::PathBuf;

use regex::Regex;

use crate::Result;
use crate::input::{Blocks, Cut};
use crate::text::{SegmentKind, Span, cut_line, cut_point, segment, words};

/// What a sentence is in its article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The heading that an article begins with.
    Headline,
    /// A heading further on: a line of its own without a mark at its end.
    Heading,
    /// A cell of a table.
    Cell,
    /// Any other sentence, items of lists among them.
    Prose,
}

/// A sentence of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The text.
    pub text: String,
    /// Bytes of the document.
    pub bytes: Span,
    /// Characters of the document.
    pub chars: Span,
    /// What it is.
    pub role: Role,
}

/// An article. What is not Arabic is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Article {
    /// Its sentences, in order.
    pub sentences: Vec<Sentence>,
    /// Whether there is anything else to be seen, such as text in other scripts.
    pub has_other: bool,
}

/// An article as it stands in its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The text.
    pub text: String,
    /// Byte of the document at which it begins.
    pub offset: usize,
    /// Characters of the document before it.
    pub chars: usize,
}

/// Most words of a heading.
const LONGEST_HEADING: usize = 16;

/// The articles of a document, read one after the other: as much is held in memory as the longest
/// article takes.
pub struct Articles<R> {
    blocks: Blocks<R>,
    /// Lines that match stand between articles.
    split_on: Option<Regex>,
    /// What was read of a block and belongs to the next articles: its text and where it begins.
    rest: Option<(String, usize)>,
    /// Characters read so far.
    chars: usize,
    ended: bool,
}

impl<R: Read> Articles<R> {
    /// Of what `reader` gives; `path` names it in errors. Lines that match `split_on` stand between
    /// articles; without it there is one.
    pub fn new(reader: R, path: impl Into<PathBuf>, split_on: Option<Regex>) -> Self {
        // A block cut inside a line would hide a line that matches.
        let cut: Cut = if split_on.is_some() { cut_line } else { cut_point };
        let blocks = Blocks::new(reader, path, cut);
        Articles { blocks, split_on, rest: None, chars: 0, ended: false }
    }

    /// The next article; none at the end. Nothing but space between two separators is no article.
    pub fn next_passage(&mut self) -> Result<Option<Passage>> {
        let mut passage: Option<Passage> = None;
        let visible = |passage: &Passage| !passage.text.trim().is_empty();
        loop {
            let Some((text, offset)) = self.next_text()? else {
                return Ok(passage.filter(visible));
            };
            let (end, after) = self.separator(&text).unwrap_or((text.len(), text.len()));
            let begun = Passage { text: String::new(), offset, chars: self.chars };
            passage.get_or_insert(begun).text.push_str(&text[..end]);
            self.chars += text[..after].chars().count();
            if after < text.len() {
                self.rest = Some((text[after..].to_owned(), offset + after));
            }
            if end < text.len() {
                let done = passage.take().filter(visible);
                if done.is_some() {
                    return Ok(done);
                }
            }
        }
    }

    /// The next article with its sentences.
    pub fn next_article(&mut self) -> Result<Option<Article>> {
        let passage = self.next_passage()?;
        Ok(passage.map(|Passage { text, offset, chars }| Article::new(&text).shift(offset, chars)))
    }

    fn next_text(&mut self) -> Result<Option<(String, usize)>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        if self.ended {
            return Ok(None);
        }
        let block = self.blocks.next_block()?;
        self.ended = block.is_none();
        Ok(block.map(|block| (block.text, block.offset as usize)))
    }

    /// Where the first line that stands between articles begins and ends.
    fn separator(&self, text: &str) -> Option<(usize, usize)> {
        let pattern = self.split_on.as_ref()?;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if pattern.is_match(line.trim_end_matches(['\n', '\r'])) {
                return Some((start, start + line.len()));
            }
            start += line.len();
        }
        None
    }
}

impl Article {
    /// The sentences of a text.
    pub fn new(text: &str) -> Self {
        let mut article = Article::default();
        let mut chars = 0;
        for segment in segment(text) {
            let piece = segment.span.of(text);
            let length = piece.chars().count();
            match segment.kind {
                SegmentKind::Sentence if !words(piece).is_empty() => {
                    let first = article.sentences.is_empty();
                    article.sentences.push(Sentence {
                        text: piece.to_owned(),
                        bytes: segment.span,
                        chars: Span::new(chars, chars + length),
                        role: role(text, segment.span, first),
                    });
                }
                SegmentKind::Gap => {}
                SegmentKind::Sentence | SegmentKind::Verbatim => article.has_other = true,
            }
            chars += length;
        }
        // A list of headings has no headings.
        if article.sentences.iter().all(|s| s.role == Role::Heading) {
            article.sentences.iter_mut().for_each(|s| s.role = Role::Prose);
        }
        article
    }

    /// The same, so many bytes and characters further on in a document.
    pub fn shift(mut self, bytes: usize, chars: usize) -> Self {
        for sentence in &mut self.sentences {
            sentence.bytes = sentence.bytes.shift(bytes);
            sentence.chars = sentence.chars.shift(chars);
        }
        self
    }
}

/// What the sentence at `span` is, by what stands around it.
fn role(text: &str, span: Span, first: bool) -> Role {
    let line_end = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    let before = &text[..span.start];
    let before = before[before.rfind(line_end).map_or(0, |at| at + 1)..].trim_matches(' ');
    let after = &text[span.end..];
    let after = after[..after.find(line_end).unwrap_or(after.len())].trim();
    if before.ends_with(['|', '\t']) || after.starts_with(['|', '\t']) {
        return Role::Cell;
    }
    let piece = span.of(text);
    let closed =
        piece.trim_end_matches(['»', '"', ')', '”']).ends_with(['.', '…', '!', '؟', ':', '؛']);
    let short = words(piece).len() <= LONGEST_HEADING;
    // A question is a heading too if it stands alone, as in interviews.
    let asks = piece.ends_with('؟');
    match before.is_empty() && after.is_empty() && short && !piece.contains(line_end) {
        true if first && (!closed || asks) => Role::Headline,
        true if !closed || asks => Role::Heading,
        _ => Role::Prose,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn articles(text: &str, split_on: Option<&str>) -> Vec<Article> {
        let pattern = split_on.map(|pattern| Regex::new(pattern).unwrap());
        let mut articles = Articles::new(text.as_bytes(), "test", pattern);
        std::iter::from_fn(|| articles.next_article().unwrap()).collect()
    }

    #[test]
    fn sentences_know_what_they_are() {
        let text = "مكتبة جديدة في المدينة\n\nافتتحت المكتبة أمس. وحضر الوزير.\n\nالأرقام\n\
                    الكتب | 4000 كتاب\n- بند من قائمة قصيرة.\n\nhello\n";
        let article = &articles(text, None)[0];
        let roles: Vec<(Role, &str)> =
            article.sentences.iter().map(|s| (s.role, s.text.as_str())).collect();
        assert_eq!(
            roles,
            [
                (Role::Headline, "مكتبة جديدة في المدينة"),
                (Role::Prose, "افتتحت المكتبة أمس."),
                (Role::Prose, "وحضر الوزير."),
                (Role::Heading, "الأرقام"),
                (Role::Cell, "الكتب"),
                (Role::Cell, "4000 كتاب"),
                (Role::Prose, "بند من قائمة قصيرة."),
            ]
        );
        assert!(article.has_other);
    }

    #[test]
    fn a_headline_alone_is_a_text() {
        let article = &articles("مكتبة جديدة في المدينة", None)[0];
        assert_eq!(article.sentences.len(), 1);
        assert!(articles(" \n", None).is_empty());
        assert!(articles("English only.", None)[0].sentences.is_empty());
    }

    #[test]
    fn lines_that_match_stand_between_articles() {
        let text = "--- 1\nوصل الوزير.\n--- 2\n\n--- 3\nخرج المدير.\n\nعاد الطفل.\n---";
        let found = articles(text, Some("^---"));
        let texts: Vec<Vec<&str>> =
            found.iter().map(|a| a.sentences.iter().map(|s| s.text.as_str()).collect()).collect();
        assert_eq!(texts, [vec!["وصل الوزير."], vec!["خرج المدير.", "عاد الطفل."]]);
    }

    proptest! {
        #[test]
        fn sentences_stand_where_they_say(
            text in "([ابتجدو ]{1,12}[.؟\n|،]{0,2}(---\n)?){0,12}",
            split in any::<bool>(),
        ) {
            let chars: Vec<char> = text.chars().collect();
            for article in articles(&text, split.then_some("---")) {
                for sentence in article.sentences {
                    prop_assert_eq!(sentence.bytes.of(&text), sentence.text.as_str());
                    let own: String = chars[sentence.chars.start..sentence.chars.end].iter().collect();
                    prop_assert_eq!(own, sentence.text);
                }
            }
        }
    }
}
