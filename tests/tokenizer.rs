//! The tokenizer against the sentencepiece package and transformers' MarianTokenizer.
//!
//! The golden files are made by scripts/reference/tokenizer.py.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tarjim::text::Span;
use tarjim::tokenizer::{self, Piece, SentencePiece, Tokenizer};

const MODELS: [&str; 7] = ["bytes", "symbols", "bpe", "bpe_bytes", "no_prefix", "spaces", "suffix"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokenizer").join(name)
}

fn rows<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(golden(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn model(name: &str) -> SentencePiece {
    SentencePiece::read(&golden(&format!("{name}.spm"))).unwrap()
}

/// What sentencepiece makes of a text; its surfaces tile the text.
#[derive(Deserialize)]
struct Encoded {
    #[serde(rename = "t")]
    text: String,
    #[serde(rename = "i")]
    ids: Vec<u32>,
    /// Ends of the surfaces.
    #[serde(rename = "e")]
    ends: Vec<usize>,
    /// Begin of the first surface.
    #[serde(rename = "b", default)]
    begin: usize,
    /// The pieces with the unknown id; the others are named by their id.
    #[serde(rename = "u", default)]
    unknown: Vec<String>,
}

impl Encoded {
    /// Piece, id and surface of every token.
    fn expected(&self, model: &SentencePiece) -> Vec<(String, u32, Span)> {
        let mut start = self.begin;
        let mut unknown = self.unknown.iter();
        let tokens = self.ids.iter().zip(&self.ends).map(|(&id, &end)| {
            let piece =
                if id == model.unknown() { unknown.next().unwrap() } else { model.piece(id) };
            let surface = Span::new(start, end);
            start = end;
            (piece.to_string(), id, surface)
        });
        tokens.collect()
    }
}

#[test]
fn pieces_ids_and_offsets_are_those_of_sentencepiece() {
    let mut lines = 0;
    for name in MODELS {
        let model = model(name);
        for row in rows::<Encoded>(&format!("{name}.jsonl")) {
            let pieces = model.encode(&row.text).into_iter();
            let found: Vec<_> = pieces.map(|p| (p.text, p.id, p.surface)).collect();
            assert_eq!(found, row.expected(&model), "{name}: {:?}", row.text);
            lines += 1;
        }
    }
    assert_eq!(lines, 2000 + 6 * 300);
}

/// A span is sentencepiece's surface without the spaces at its ends. They differ where the surface
/// begins with characters that the model deletes or takes for a space, and where one character
/// became several pieces: each then spans all of it, while only the last has it as its surface. So
/// equality is required of every surface in plain letters, and of nine in ten of all.
#[test]
fn spans_are_surfaces_without_the_leading_space() {
    let (mut same, mut all) = (0, 0);
    for name in MODELS {
        let model = model(name);
        for row in rows::<Encoded>(&format!("{name}.jsonl")) {
            for piece in model.encode(&row.text) {
                let surface = piece.surface.of(&row.text);
                let bare = surface.trim_start_matches(' ');
                let bare = Span::new(piece.surface.end - bare.len(), piece.surface.end);
                all += 1;
                same += usize::from(piece.span == bare);
                let plain = surface
                    .chars()
                    .all(|c| c.is_ascii_graphic() || ('ء'..='ي').contains(&c) || c == ' ');
                if plain && !surface.is_empty() && !piece.text.ends_with('▁') {
                    assert_eq!(piece.span, bare, "{name}: {piece:?} of {:?}", row.text);
                }
            }
        }
    }
    assert!(same * 100 > all * 90, "{same} of {all}");
}

fn spans_of(name: &str, text: &str) -> Vec<(String, Span)> {
    model(name).encode(text).into_iter().map(|p| (p.text, p.span)).collect()
}

#[test]
fn every_piece_of_one_character_has_that_character() {
    // U+FDFA becomes four words, all made from its three bytes.
    for (text, span) in spans_of("bytes", "\u{fdfa}") {
        assert!(span == Span::new(0, 3) || text == "▁", "{text} {span:?}");
    }
    // A character that the model does not know is four bytes, each standing for all of it.
    let spans = spans_of("bytes", "في 😀!");
    let bytes: Vec<_> = spans.iter().filter(|(text, _)| text.starts_with("<0x")).collect();
    assert_eq!(bytes.len(), 4);
    assert!(bytes.iter().all(|(_, span)| *span == Span::new(5, 9)), "{spans:?}");
}

#[derive(Deserialize)]
struct MarianRow {
    #[serde(rename = "t")]
    text: String,
    #[serde(rename = "s")]
    source: Vec<u32>,
    #[serde(rename = "g")]
    target: Vec<u32>,
}

#[derive(Deserialize)]
struct DecodeRow {
    #[serde(rename = "i")]
    ids: Vec<u32>,
    #[serde(rename = "d")]
    text: String,
}

fn marian() -> Box<dyn Tokenizer> {
    tokenizer::open(&golden("marian")).unwrap()
}

#[test]
fn ids_are_those_of_transformers() {
    let marian = marian();
    for row in rows::<MarianRow>("marian.jsonl") {
        let ids = |tokens: Vec<tokenizer::Token>| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(ids(marian.encode(&row.text).unwrap()), row.source, "{:?}", row.text);
        assert_eq!(ids(marian.encode_target(&row.text).unwrap()), row.target, "{:?}", row.text);
    }
}

#[test]
fn decoded_text_is_that_of_transformers() {
    let marian = marian();
    for row in rows::<DecodeRow>("decode.jsonl") {
        let decoded = marian.decode(&row.ids).unwrap();
        assert_eq!(decoded.text, row.text, "{:?}", row.ids);
        check_decoded(&decoded, row.ids.len());
    }
}

/// Spans are in order, on character boundaries, and leave no letter uncovered.
fn check_decoded(decoded: &tokenizer::Decoded, tokens: usize) {
    assert_eq!(decoded.spans.len(), tokens);
    let mut covered = 0;
    for pair in decoded.spans.windows(2) {
        assert!(pair[0].start <= pair[1].start, "{decoded:?}");
    }
    for span in &decoded.spans {
        let gap = decoded.text.get(covered..span.start.max(covered)).unwrap();
        assert!(gap.trim_matches(' ').is_empty(), "{decoded:?}");
        assert!(decoded.text.get(span.start..span.end).is_some(), "{decoded:?}");
        covered = covered.max(span.end);
    }
    assert!(decoded.text[covered..].trim_matches(' ').is_empty(), "{decoded:?}");
}

#[test]
fn bytes_of_one_character_share_its_span() {
    let marian = marian();
    let id = |piece: &str| {
        (0..marian.vocab_size() as u32).find(|&id| marian.piece(id) == piece).unwrap()
    };
    let ids = [id("▁the"), id("<0xF0>"), id("<0x9F>"), id("</s>"), id("<0x98>"), id("<0x80>")];
    let decoded = marian.decode(&ids).unwrap();
    assert_eq!(decoded.text, "the😀");
    let emoji = Span::new(3, 7);
    assert_eq!(decoded.spans, [Span::new(0, 3), emoji, emoji, Span::new(3, 3), emoji, emoji]);

    let decoded = marian.decode(&[id("<0xF0>"), id("▁the"), id("<0x9F>")]).unwrap();
    assert_eq!(decoded.text, "\u{fffd} the\u{fffd}");
}

#[test]
fn an_id_outside_the_vocabulary_is_an_error() {
    let marian = marian();
    let error = marian.decode(&[marian.vocab_size() as u32]).unwrap_err();
    assert!(error.to_string().contains("no piece has the id"), "{error}");
    assert_eq!(marian.piece(u32::MAX), "");
}

#[test]
fn a_folder_without_a_tokenizer_or_with_a_damaged_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = |folder: &Path| tokenizer::open(folder).err().unwrap().to_string();
    assert!(error(folder.path()).contains("holds no tokenizer"));
    for file in ["source.spm", "target.spm", "vocab.json"] {
        std::fs::copy(golden("marian").join(file), folder.path().join(file)).unwrap();
    }
    assert!(tokenizer::open(folder.path()).is_ok());
    for (vocab, says) in [
        ("", "EOF"),
        ("{\"</s>\":0}", "<unk>"),
        ("{\"</s>\":0,\"<unk>\":-1}", "invalid value"),
        ("{\"</s>\":0,\"<unk>\":4294967295}", "but the id 4294967295"),
        ("[1,2]", "invalid type"),
    ] {
        std::fs::write(folder.path().join("vocab.json"), vocab).unwrap();
        let error = error(folder.path());
        assert!(error.contains(says) && error.contains("vocab.json"), "{error}");
    }
}

/// Spans are in order and on character boundaries; surfaces tile the text between both ends.
fn check_pieces(text: &str, pieces: &[Piece]) {
    for pair in pieces.windows(2) {
        assert_eq!(pair[0].surface.end, pair[1].surface.start, "{text:?} {pieces:?}");
        assert!(pair[0].span.start <= pair[1].span.start, "{text:?} {pieces:?}");
    }
    for piece in pieces {
        assert!(text.get(piece.surface.start..piece.surface.end).is_some(), "{piece:?}");
        assert!(text.get(piece.span.start..piece.span.end).is_some(), "{piece:?}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ a-z▁<>/ء-ي\u{64b}-\u{652}\u{fdfa}\u{200b}\u{a0}\u{ad}]{0,40}",
        "(<sep>|foo|▁hello|the|كتاب| |\u{301}){0,20}",
    ]
}

#[test]
fn any_text_has_ordered_spans() {
    let models = MODELS.map(model);
    proptest!(|(text in any_text())| {
        for model in &models {
            check_pieces(&text, &model.encode(&text));
        }
    });
}

#[test]
fn what_is_encoded_decodes_to_the_same_words() {
    let marian = marian();
    proptest!(|(words in prop::collection::vec("(the|market|river|letters|unplayable|x7|😀)", 0..8))| {
        let text = words.join(" ");
        let tokens = marian.encode_target(&text).unwrap();
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let decoded = marian.decode(&ids).unwrap();
        check_decoded(&decoded, ids.len());
        // The vocabulary lacks a few pieces on purpose; without them the text comes back whole,
        // and every token stands for the same bytes in both.
        let unknown = ids.iter().any(|&id| marian.piece(id) == "<unk>");
        if !unknown {
            let spans: Vec<Span> = tokens.iter().map(|token| token.span).collect();
            prop_assert_eq!(&decoded.text, &text);
            let full = |spans: &[Span]| spans.iter().copied().filter(|s| !s.is_empty()).collect::<Vec<_>>();
            prop_assert_eq!(full(&decoded.spans), full(&spans));
        }
    });
}

#[test]
fn damaged_models_are_refused_or_harmless() {
    let whole = ["bytes", "symbols", "bpe"]
        .map(|name| std::fs::read(golden(&format!("{name}.spm"))).unwrap());
    let encode = |bytes: &[u8]| {
        if let Ok(model) = SentencePiece::parse(bytes) {
            let text = "the كتاب \u{fdfa} <sep> \u{0} 😀";
            check_pieces(text, &model.encode(text));
        }
    };
    for bytes in &whole {
        for cut in (0..bytes.len()).step_by(bytes.len() / 40) {
            encode(&bytes[..cut]);
        }
    }
    proptest!(|(which in 0..3usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9))| {
        let mut bytes = whole[which].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        encode(&bytes);
    });
    proptest!(|(bytes in prop::collection::vec(any::<u8>(), 0..200))| encode(&bytes));
}

#[test]
fn a_long_word_takes_time_in_proportion() {
    // A quadratic step would take hours here.
    let word = "المكتبة".repeat(70_000);
    for name in ["symbols", "bpe"] {
        let pieces = model(name).encode(&word);
        check_pieces(&word[..0], &[]);
        assert_eq!(pieces.last().unwrap().surface.end, word.len());
    }
}
