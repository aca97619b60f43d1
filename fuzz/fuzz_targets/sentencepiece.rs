//! Any bytes as a SentencePiece model: refused, or usable on any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::tokenizer::SentencePiece;

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, text) = input;
    if let Ok(model) = SentencePiece::parse(bytes) {
        for piece in model.encode(text) {
            assert!(text.get(piece.span.start..piece.span.end).is_some());
            assert!(text.get(piece.surface.start..piece.surface.end).is_some());
        }
    }
});
