//! SentencePiece models read directly: unigram and BPE, equal to the reference implementation piece
//! for piece.

use std::collections::HashSet;
use std::path::Path;

use prost::Message;

use super::charsmap::Charsmap;
use super::normalizer::{Normalized, Normalizer};
use super::proto::{ModelProto, ModelType, PieceType};
use super::trie::Trie;
use super::{bpe, unigram};
use crate::text::Span;
use crate::{Error, Result};

const WHAT: &str = "SentencePiece model";
/// The reference implementation refuses longer pieces too; it bounds the work for every character.
const MAX_PIECE: usize = 8000;

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The piece as the model writes it, `▁` for a space; what the text had if it is unknown.
    pub text: String,
    /// Place in the model's own vocabulary.
    pub id: u32,
    /// The surface as SentencePiece reports it: surfaces tile the text, leading space included, so
    /// of several pieces made from one character only the last is not empty.
    pub surface: Span,
    /// The bytes of the text that the piece stands for: spaces at its ends are left out, and every
    /// piece made from one character has the whole character.
    pub span: Span,
}

/// The pieces of a model by id, and the ways to find them.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub pieces: Vec<String>,
    pub scores: Vec<f32>,
    pub types: Vec<PieceType>,
    /// Id of the unknown piece.
    pub unknown: u32,
    /// Lowest score of the normal pieces.
    pub min_score: f32,
    /// Pieces that text can become: normal, user-defined and unused.
    pub trie: Trie,
    pub user_defined: Trie,
    /// Ids of `<0x00>` to `<0xFF>` where the model spells unknown characters in bytes.
    bytes: Option<Vec<u32>>,
}

/// A SentencePiece model.
#[derive(Debug)]
pub struct SentencePiece {
    normalizer: Normalizer,
    vocabulary: Vocabulary,
    model_type: ModelType,
}

impl SentencePiece {
    /// Reads a `.spm` or `.model` file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::read(path))?;
        SentencePiece::parse(&bytes).map_err(|detail| Error::malformed(path, WHAT, detail))
    }

    /// Reads the bytes of such a file; the error says what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let proto = ModelProto::decode(bytes).map_err(|e| e.to_string())?;
        let trainer = proto.trainer_spec.clone().unwrap_or_default();
        let normalizer = proto.normalizer_spec.clone().unwrap_or_default();
        let model_type = match trainer.model_type.map_or(Ok(ModelType::Unigram), TryInto::try_into)
        {
            Ok(known @ (ModelType::Unigram | ModelType::Bpe)) => known,
            _ => return Err("it is neither a unigram nor a BPE model".into()),
        };
        if proto.denormalizer_spec.is_some_and(|d| !d.precompiled_charsmap().is_empty()) {
            return Err("it rewrites what it decodes, which is not supported".into());
        }
        let vocabulary = Vocabulary::new(proto.pieces, trainer.byte_fallback())?;
        let normalizer = Normalizer {
            charsmap: Charsmap::parse(normalizer.precompiled_charsmap())?,
            add_dummy_prefix: normalizer.add_dummy_prefix(),
            remove_extra_whitespaces: normalizer.remove_extra_whitespaces(),
            escape_whitespaces: normalizer.escape_whitespaces(),
            treat_whitespace_as_suffix: trainer.treat_whitespace_as_suffix(),
        };
        Ok(SentencePiece { normalizer, vocabulary, model_type })
    }

    /// The pieces of a text.
    pub fn encode(&self, text: &str) -> Vec<Piece> {
        let normalized = self.normalizer.normalize(text, &self.vocabulary.user_defined);
        let segments = match self.model_type {
            ModelType::Bpe => bpe::segment(&self.vocabulary, &normalized.text),
            _ => unigram::segment(&self.vocabulary, &normalized.text),
        };
        let mut pieces: Vec<Piece> = Vec::with_capacity(segments.len());
        let mut start = 0;
        for (end, id) in segments {
            self.append(&mut pieces, &normalized, start, end, id);
            start = end;
        }
        pieces
    }

    /// Adds the piece at `start..end` of the normalized text: an unknown one as bytes where the
    /// model has them, else joined to an unknown one before it.
    fn append(
        &self,
        pieces: &mut Vec<Piece>,
        normalized: &Normalized,
        start: usize,
        end: usize,
        id: u32,
    ) {
        let text = &normalized.text[start..end];
        let surface = normalized.surface(start, end);
        let span = normalized.span(start, end);
        if id == self.vocabulary.unknown {
            if let Some(ids) = &self.vocabulary.bytes {
                for (at, byte) in text.bytes().enumerate() {
                    let id = ids[usize::from(byte)];
                    let last = at + 1 == text.len();
                    let surface =
                        if last { surface } else { Span::new(surface.start, surface.start) };
                    pieces.push(Piece { text: self.piece(id).into(), id, surface, span });
                }
                return;
            }
            if let Some(previous) = pieces.last_mut().filter(|previous| previous.id == id) {
                previous.text.push_str(text);
                previous.surface.end = surface.end;
                previous.span = match (previous.span.is_empty(), span.is_empty()) {
                    (true, _) => span,
                    (_, true) => previous.span,
                    _ => previous.span.cover(span),
                };
                return;
            }
        }
        pieces.push(Piece { text: text.into(), id, surface, span });
    }

    /// The piece with this id; empty outside the vocabulary.
    pub fn piece(&self, id: u32) -> &str {
        self.vocabulary.pieces.get(id as usize).map_or("", String::as_str)
    }

    /// The id of the unknown piece.
    pub fn unknown(&self) -> u32 {
        self.vocabulary.unknown
    }

    /// How many pieces there are.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.pieces.len()
    }

    /// Whether the piece is a control symbol such as `<s>`, which decodes to nothing.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocabulary.types.get(id as usize) == Some(&PieceType::Control)
    }

    /// The byte that a byte piece stands for.
    pub fn byte(&self, id: u32) -> Option<u8> {
        match self.vocabulary.types.get(id as usize)? {
            PieceType::Byte => byte_of(self.piece(id)),
            _ => None,
        }
    }
}

impl Vocabulary {
    fn new(protos: Vec<super::proto::PieceProto>, byte_fallback: bool) -> Result<Self, String> {
        let mut types = Vec::with_capacity(protos.len());
        let mut scores = Vec::with_capacity(protos.len());
        let mut pieces = Vec::with_capacity(protos.len());
        let mut bytes = [None; 256];
        let mut unknown = None;
        for (id, proto) in (0u32..).zip(protos) {
            let piece = proto.piece.unwrap_or_default();
            let score = proto.score.unwrap_or_default();
            let kind = proto.r#type.map_or(Ok(PieceType::Normal), TryInto::try_into);
            let kind = kind.map_err(|_| format!("piece {id} is of an unknown type"))?;
            if piece.is_empty() || piece.contains('\0') || piece.len() >= MAX_PIECE {
                return Err(format!("piece {id} is empty, overlong or holds a zero byte"));
            }
            if !score.is_finite() {
                return Err(format!("piece {id} has the score {score}"));
            }
            match kind {
                PieceType::Unknown if unknown.replace(id).is_some() => {
                    return Err("it has two unknown pieces".into());
                }
                PieceType::Byte if !byte_fallback => {
                    return Err(format!("piece {id} is a byte, but the model does not use bytes"));
                }
                PieceType::Byte => {
                    let byte = byte_of(&piece).ok_or(format!("piece {id} is not a byte"))?;
                    bytes[usize::from(byte)] = Some(id);
                }
                _ => {}
            }
            types.push(kind);
            scores.push(score);
            pieces.push(piece);
        }
        let mut seen = HashSet::with_capacity(pieces.len());
        if let Some(twice) = pieces.iter().find(|piece| !seen.insert(piece.as_str())) {
            return Err(format!("the piece {twice:?} is defined twice"));
        }
        drop(seen);

        let of_types = |wanted: &'static [PieceType]| {
            let all = (0u32..).zip(&pieces).zip(&types);
            all.filter(|(_, kind)| wanted.contains(kind)).map(|((id, p), _)| (p.as_str(), id))
        };
        let normal = of_types(&[PieceType::Normal]).map(|(_, id)| scores[id as usize]);
        let min_score = normal.fold(f32::MAX, f32::min);
        let bytes: Option<Vec<u32>> = bytes.into_iter().collect();
        if byte_fallback && bytes.is_none() {
            return Err("some of the 256 byte pieces are missing".into());
        }
        Ok(Vocabulary {
            unknown: unknown.ok_or("it has no unknown piece")?,
            min_score,
            trie: Trie::new(of_types(&[
                PieceType::Normal,
                PieceType::UserDefined,
                PieceType::Unused,
            ])),
            user_defined: Trie::new(of_types(&[PieceType::UserDefined])),
            bytes,
            pieces,
            scores,
            types,
        })
    }
}

/// The byte that `<0xNN>` names.
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_upper_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    if digits.len() != 2 || !digits.bytes().all(is_upper_hex) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::proto::{NormalizerSpec, PieceProto, TrainerSpec};
    use super::*;

    fn proto(pieces: &[(&str, f32, PieceType)]) -> ModelProto {
        let piece = |&(piece, score, kind): &(&str, f32, PieceType)| PieceProto {
            piece: Some(piece.into()),
            score: Some(score),
            r#type: Some(kind.into()),
        };
        let normalizer = NormalizerSpec { add_dummy_prefix: Some(false), ..Default::default() };
        ModelProto {
            pieces: pieces.iter().map(piece).collect(),
            normalizer_spec: Some(normalizer),
            ..Default::default()
        }
    }

    fn refusal(proto: &ModelProto) -> String {
        SentencePiece::parse(&proto.encode_to_vec()).unwrap_err()
    }

    use PieceType::{Byte, Normal, Unknown, UserDefined};

    #[test]
    fn refuses_what_is_not_sound() {
        assert!(refusal(&proto(&[])).contains("no unknown piece"));
        assert!(refusal(&proto(&[("a", 0.0, Normal)])).contains("no unknown piece"));
        let with = |more: &[(&str, f32, PieceType)]| {
            refusal(&proto(&[&[("<unk>", 0.0, Unknown)], more].concat()))
        };
        assert!(with(&[("?", 0.0, Unknown)]).contains("two unknown"));
        assert!(with(&[("a", f32::NAN, Normal)]).contains("score NaN"));
        assert!(with(&[("a", f32::INFINITY, Normal)]).contains("score inf"));
        assert!(with(&[("a", 0.0, Normal), ("a", 0.0, Normal)]).contains("twice"));
        assert!(with(&[("", 0.0, Normal)]).contains("empty"));
        assert!(with(&[("<0x41>", 0.0, Byte)]).contains("does not use bytes"));
        assert!(with(&[(&"a".repeat(MAX_PIECE), 0.0, Normal)]).contains("overlong"));

        let mut words = proto(&[("<unk>", 0.0, Unknown)]);
        words.trainer_spec =
            Some(TrainerSpec { model_type: Some(ModelType::Word.into()), ..Default::default() });
        assert!(refusal(&words).contains("neither"));
        words.trainer_spec = Some(TrainerSpec { byte_fallback: Some(true), ..Default::default() });
        assert!(refusal(&words).contains("256 byte pieces"));
        words.trainer_spec = None;
        words.denormalizer_spec =
            Some(NormalizerSpec { precompiled_charsmap: Some(vec![0]), ..Default::default() });
        assert!(refusal(&words).contains("rewrites"));
        // A claimed length beyond the file, and a file of nothing.
        assert!(SentencePiece::parse(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0a]).is_err());
        assert!(SentencePiece::parse(&[]).is_err());
    }

    #[test]
    fn an_empty_vocabulary_knows_nothing() {
        let model =
            SentencePiece::parse(&proto(&[("<unk>", 0.0, Unknown)]).encode_to_vec()).unwrap();
        let pieces = model.encode(" ab  c ");
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].text, "ab▁c");
        assert_eq!(pieces[0].span, Span::new(1, 6));
        assert!(model.encode("").is_empty());
    }

    /// What the sentencepiece package (0.2.3) answers for these pieces.
    #[test]
    fn user_defined_pieces_score_by_their_length() {
        for (score, pieces) in [(0.19, 2), (0.21, 1)] {
            let pair = [("<unk>", 0.0, Unknown), ("ab", 0.0, UserDefined), ("abab", score, Normal)];
            let model = SentencePiece::parse(&proto(&pair).encode_to_vec()).unwrap();
            assert_eq!(model.encode("abab").len(), pieces);
        }
    }
}
