//! The tokenizers of T5 and mT5 against the sentencepiece package and transformers' T5Tokenizer.
//!
//! The golden files are made by scripts/reference/t5.py.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tarjim::text::Span;
use tarjim::tokenizer::{self, Decoded, Token, Tokenizer};

/// The end of sentence, and the first id that is no piece of the T5 model.
const EOS: u32 = 1;
const PIECES: u32 = 420;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "t")]
    text: Option<String>,
    /// Ids that sentencepiece gives.
    #[serde(rename = "s", default)]
    sentencepiece: Vec<u32>,
    /// Ids that transformers gives.
    #[serde(rename = "h", default)]
    transformers: Vec<u32>,
    /// Ids to decode where there is no text.
    #[serde(rename = "i", default)]
    ids: Vec<u32>,
    /// What transformers decodes `sentencepiece` or `ids` to.
    #[serde(rename = "d")]
    decoded: String,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/t5").join(name)
}

fn open(name: &str) -> Box<dyn Tokenizer> {
    tokenizer::open(&folder(name)).unwrap()
}

fn rows(name: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(folder(name).join("golden.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(tokens: &[Token]) -> Vec<u32> {
    tokens.iter().map(|token| token.id).collect()
}

/// Spans are in order, on character boundaries, and without spaces at their ends.
fn check_tokens(text: &str, tokens: &[Token]) {
    for pair in tokens.windows(2) {
        assert!(pair[0].span.start <= pair[1].span.start, "{text:?} {tokens:?}");
    }
    for token in tokens {
        let piece = text.get(token.span.start..token.span.end).unwrap();
        assert_eq!(piece.trim_matches(' '), piece, "{text:?} {tokens:?}");
    }
    let end = Span::new(text.len(), text.len());
    assert_eq!(tokens.last(), Some(&Token { id: EOS, span: end }), "{text:?}");
    assert!(!tokens[..tokens.len() - 1].iter().any(|token| token.id == EOS), "{text:?}");
}

fn check_decoded(decoded: &Decoded, ids: usize) {
    assert_eq!(decoded.spans.len(), ids);
    let mut covered = 0;
    for span in &decoded.spans {
        let gap = decoded.text.get(covered..span.start.max(covered)).unwrap();
        assert!(gap.trim_matches(' ').is_empty(), "{decoded:?}");
        assert!(decoded.text.get(span.start..span.end).is_some(), "{decoded:?}");
        covered = covered.max(span.end);
    }
    assert!(decoded.text[covered..].trim_matches(' ').is_empty(), "{decoded:?}");
}

#[test]
fn ids_of_spiece_model_are_those_of_sentencepiece() {
    for (name, least) in [("t5_tokenizer", 115), ("mt5_tokenizer", 118)] {
        let tokenizer = open(name);
        let (mut lines, mut as_transformers) = (0, 0);
        for row in rows(name) {
            let Some(text) = &row.text else { continue };
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(ids(&tokens), row.sentencepiece, "{name}: {text:?}");
            assert_eq!(tokenizer.encode_target(text).unwrap(), tokens);
            check_tokens(text, &tokens);
            lines += 1;
            as_transformers += usize::from(row.sentencepiece == row.transformers);
        }
        // The rest are special tokens, and spaces and marks that the two take differently.
        assert_eq!(lines, 122);
        assert!(as_transformers >= least, "{name}: {as_transformers}");
    }
}

#[test]
fn ids_of_tokenizer_json_are_those_of_transformers() {
    let tokenizer = open("json_tokenizer");
    for row in rows("t5_tokenizer") {
        let Some(text) = &row.text else { continue };
        // Special tokens that a text spells are unknown to us.
        let (_, inner) = row.transformers.split_last().unwrap();
        let special = |id: u32| id <= 2 || id >= PIECES;
        let inner = inner.iter().map(|&id| if special(id) { 2 } else { id });
        let tokens = tokenizer.encode(text).unwrap();
        assert_eq!(ids(&tokens), inner.chain([EOS]).collect::<Vec<_>>(), "{text:?}");
        check_tokens(text, &tokens);
    }
}

#[test]
fn both_files_give_the_same_spans() {
    let (spiece, json) = (open("t5_tokenizer"), open("json_tokenizer"));
    let mut compared = 0;
    for text in rows("t5_tokenizer").iter().filter_map(|row| row.text.as_ref()) {
        // Where nothing is rewritten; of what is, the crate knows less about the origin.
        let plain = |c: char| c.is_ascii_graphic() || ('ء'..='ي').contains(&c) || c == ' ';
        if text.contains('<') || !text.chars().all(|c| plain(c) && c != '\u{640}') {
            continue;
        }
        assert_eq!(json.encode(text).unwrap(), spiece.encode(text).unwrap(), "{text:?}");
        compared += 1;
    }
    assert!(compared > 80, "{compared}");
}

#[test]
fn decoded_text_is_that_of_transformers() {
    for (name, golden) in [
        ("t5_tokenizer", "t5_tokenizer"),
        ("json_tokenizer", "t5_tokenizer"),
        ("mt5_tokenizer", "mt5_tokenizer"),
    ] {
        let tokenizer = open(name);
        for row in rows(golden) {
            let ids = if row.text.is_some() { &row.sentencepiece } else { &row.ids };
            let decoded = tokenizer.decode(ids).unwrap();
            assert_eq!(decoded.text, row.decoded.trim(), "{name}: {ids:?}");
            check_decoded(&decoded, ids.len());
        }
    }
}

#[test]
fn decoded_spans_are_the_same_for_both_files() {
    let (spiece, json) = (open("t5_tokenizer"), open("json_tokenizer"));
    for row in rows("t5_tokenizer") {
        let ids = if row.text.is_some() { &row.sentencepiece } else { &row.ids };
        assert_eq!(json.decode(ids).unwrap(), spiece.decode(ids).unwrap(), "{ids:?}");
    }
}

#[test]
fn sentinels_follow_the_pieces_of_t5_and_are_pieces_of_mt5() {
    for name in ["t5_tokenizer", "json_tokenizer"] {
        let t5 = open(name);
        assert_eq!(t5.vocab_size(), 520);
        assert_eq!(t5.piece(PIECES), "<extra_id_99>");
        assert_eq!(t5.piece(519), "<extra_id_0>");
        assert_eq!(t5.piece(520), "");
    }
    let mt5 = open("mt5_tokenizer");
    assert_eq!(mt5.vocab_size(), 425);
    assert_eq!(mt5.piece(424), "▁<extra_id_0>");
    assert_eq!(mt5.decode(&[424, 420]).unwrap().text, "");
}

/// Bytes of one character, as models spell what they do not know.
#[test]
fn tokens_of_one_character_share_its_span() {
    let text = std::fs::read_to_string(folder("json_tokenizer").join("tokenizer.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let vocab = file["model"]["vocab"].as_array_mut().unwrap();
    let first = vocab.len() as u32;
    for byte in "😀".bytes() {
        vocab.push(json!([format!("<0x{byte:02X}>"), -20.0]));
    }
    file["decoder"] = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]});
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    let tokenizer = tokenizer::open(folder.path()).unwrap();
    let word = tokenizer.encode("the").unwrap()[0].id;
    let decoded = tokenizer.decode(&[word, first, first + 1, EOS, first + 2, first + 3, word]);
    let decoded = decoded.unwrap();
    assert_eq!(decoded.text, "the😀 the");
    let emoji = Span::new(3, 7);
    let end = Span::new(8, 11);
    assert_eq!(decoded.spans, [Span::new(0, 3), emoji, emoji, Span::new(3, 3), emoji, emoji, end]);
}

#[test]
fn any_text_has_ordered_spans() {
    let tokenizers = ["t5_tokenizer", "mt5_tokenizer", "json_tokenizer"].map(open);
    let texts = prop_oneof![
        any::<String>(),
        "[ a-z▁<>/ء-ي\u{64b}-\u{652}\u{640}\u{fdfa}\u{200b}\u{a0}\u{ad}½…]{0,40}",
        "(<extra_id_1>|</s>|<pad>|<unk>|▁|the|كتاب| |e\u{301}|ﷺ|\u{301}){0,20}",
    ];
    proptest!(|(text in texts)| {
        for tokenizer in &tokenizers {
            let tokens = tokenizer.encode(&text).unwrap();
            check_tokens(&text, &tokens);
            check_decoded(&tokenizer.decode(&ids(&tokens)).unwrap(), tokens.len());
        }
    });
}

#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let error = || tokenizer::open(dir.path()).err().unwrap().to_string();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let good = std::fs::read_to_string(folder("json_tokenizer").join("tokenizer.json")).unwrap();
    write("tokenizer.json", &good);
    assert!(tokenizer::open(dir.path()).is_ok());
    for (from, to, says) in [
        ("\"Unigram\"", "\"Trigram\"", "tokenizer.json"),
        ("</s>", "</S>", "no </s>"),
        ("\"precompiled_charsmap\":\"", "\"precompiled_charsmap\":\"////", "character map"),
        ("\"precompiled_charsmap\":\"", "\"precompiled_charsmap\":\"*", "nvalid symbol"),
    ] {
        assert!(good.contains(from), "{from}");
        write("tokenizer.json", &good.replace(from, to));
        let error = error();
        assert!(error.contains(says) && error.contains("tokenizer.json"), "{to}: {error}");
    }
    let hole = json!({"model": {
        "type": "WordLevel", "vocab": {"</s>": 0, "<unk>": 4294967295u32}, "unk_token": "<unk>",
    }});
    write("tokenizer.json", &hole.to_string());
    assert!(error().contains("but the id 4294967295"));
    write("tokenizer.json", &good[..good.len() / 2]);
    assert!(error().contains("EOF"));

    write("spiece.model", "no model");
    assert!(error().contains("spiece.model"), "it comes before tokenizer.json");
    std::fs::copy(folder("t5_tokenizer").join("spiece.model"), dir.path().join("spiece.model"))
        .unwrap();
    assert!(tokenizer::open(dir.path()).is_ok());
    for config in ["{\"extra_ids\": -1}", "{\"extra_ids\": 1000000000}", "3", "{"] {
        write("tokenizer_config.json", config);
        let error = error();
        assert!(error.contains("tokenizer_config.json"), "{config}: {error}");
    }
}

/// The crate looks character maps up without bounds; a damaged one must not get there.
#[test]
fn damaged_character_maps_are_refused_or_harmless() {
    let text = std::fs::read_to_string(folder("json_tokenizer").join("tokenizer.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let map = file["normalizer"]["precompiled_charsmap"].as_str().unwrap();
    let map = BASE64_STANDARD.decode(map).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (refused, harmless) = (Cell::new(0), Cell::new(0));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    proptest!(|(changes in changes, text in "[a-z ½…ﷺﻻＡe\u{301}\u{a0}]{0,20}")| {
        let mut map = map.clone();
        for (at, byte) in changes {
            let at = at.index(map.len());
            map[at] = byte;
        }
        let mut file = file.clone();
        file["normalizer"]["precompiled_charsmap"] = BASE64_STANDARD.encode(&map).into();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        match tokenizer::open(folder.path()) {
            Ok(tokenizer) => {
                check_tokens(&text, &tokenizer.encode(&text).unwrap());
                harmless.set(harmless.get() + 1);
            }
            Err(_) => refused.set(refused.get() + 1),
        }
    });
    assert!(refused.get() > 10 && harmless.get() > 10, "{refused:?} {harmless:?}");
}
