#![allow(clippy::unwrap_used)]
use std::path::{Path, PathBuf};

use super::*;

/// A teacher-forced run of transformers' model.
#[derive(Deserialize)]
struct Forced {
    source: Vec<u32>,
    target: Vec<u32>,
    /// `[source, width]`.
    encoder: Vec<f32>,
    /// `[target, vocabulary]`.
    logits: Vec<f32>,
    /// A layer: `[heads, target, source]`.
    cross_attention: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Golden {
    forced: Vec<Forced>,
}

const SHAPES: [&str; 4] = ["opus", "separate", "untied", "prenorm"];

fn folder(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/marian").join(shape)
}

fn golden(shape: &str) -> Vec<Forced> {
    let text = std::fs::read_to_string(folder(shape).join("golden.json")).unwrap();
    serde_json::from_str::<Golden>(&text).unwrap().forced
}

fn model(shape: &str, head: Option<AlignmentHead>) -> Marian {
    Marian::load(&Checkpoint::open(&folder(shape)).unwrap(), head).unwrap()
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-4, "{what}: off by {worst}");
}

fn logits(session: &MarianSession) -> Vec<f32> {
    with_rows(session.logits.as_ref().unwrap(), <[f32]>::to_vec).unwrap()
}

#[test]
fn encoder_states_logits_and_attention_equal_transformers() {
    for shape in SHAPES {
        for (n, run) in golden(shape).iter().enumerate() {
            let whole = model(shape, None);
            let states = whole.encode(&[&run.source]).unwrap();
            let states = with_rows(&states, <[f32]>::to_vec).unwrap();
            assert_close(&states, &run.encoder, &format!("{shape} {n} encoder"));

            for layer in 0..whole.info.decoder_layers {
                for head in 0..whole.info.decoder_heads {
                    let model = model(shape, Some(AlignmentHead { layer, head }));
                    let mut session = model.session(&[&run.source]).unwrap();
                    let (mut all, mut attention) = (Vec::new(), Vec::new());
                    let mut input = model.info.decoder_start;
                    for &id in &run.target {
                        session.step(&[input], 1, &[vec![]]).unwrap();
                        all.extend(logits(&session));
                        attention.extend_from_slice(session.attention(0));
                        input = id;
                    }
                    let what = format!("{shape} {n} layer {layer} head {head}");
                    assert_close(&all, &run.logits, &what);
                    let size = run.target.len() * run.source.len();
                    let theirs = &run.cross_attention[layer][head * size..(head + 1) * size];
                    assert_close(&attention, theirs, &what);
                }
            }
        }
    }
}

/// Every sentence alone, then all together in several orders: the same bits.
#[test]
fn a_sentence_does_not_depend_on_its_batch() {
    for shape in SHAPES {
        let model = model(shape, None);
        let runs = golden(shape);
        let bits = |sources: &[&[u32]], row: usize| -> Vec<u32> {
            let mut session = model.session(sources).unwrap();
            let mut seen = Vec::new();
            for input in [model.info.decoder_start, 3, 5, 8] {
                let banned = vec![vec![]; sources.len()];
                session.step(&vec![input; sources.len()], 1, &banned).unwrap();
                let vocab = model.info.target_vocab;
                let logits = logits(&session);
                seen.extend(logits[row * vocab..(row + 1) * vocab].iter().map(|x| x.to_bits()));
                seen.extend(session.attention(row).iter().map(|x| x.to_bits()));
            }
            seen
        };
        for (n, run) in runs.iter().enumerate() {
            let alone = bits(&[&run.source], 0);
            let mut batch: Vec<&[u32]> = runs.iter().map(|run| run.source.as_slice()).collect();
            assert_eq!(bits(&batch, n), alone, "{shape} {n}");
            batch.reverse();
            assert_eq!(bits(&batch, batch.len() - 1 - n), alone, "{shape} {n} reversed");
            let many: Vec<&[u32]> = batch.iter().copied().cycle().take(50).collect();
            assert_eq!(bits(&many, batch.len() - 1 - n), alone, "{shape} {n} of fifty");
        }
    }
}

#[test]
fn bad_sources_are_errors() {
    let model = model("opus", None);
    for source in [&[][..], &[97], &[1; 65]] {
        assert!(matches!(model.session(&[source]), Err(Error::Usage(_))));
    }
}

#[test]
fn bad_configurations_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(folder("opus").join("config.json")).unwrap();
    std::fs::copy(folder("opus").join("model.safetensors"), dir.path().join("model.safetensors"))
        .unwrap();
    let changes = [
        ("\"d_model\": 32", "\"d_model\": 30"),
        ("\"d_model\": 32", "\"d_model\": 0"),
        ("\"decoder_layers\": 2", "\"decoder_layers\": 1000000000000"),
        ("\"decoder_layers\": 2", "\"decoder_layers\": 3"),
        ("\"decoder_vocab_size\": 97", "\"decoder_vocab_size\": 98"),
        ("\"decoder_start_token_id\": 96", "\"decoder_start_token_id\": 97"),
        ("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 900000000"),
        ("\"activation_function\": \"swish\"", "\"activation_function\": \"sine\""),
        ("\"num_beams\": 4", "\"normalize_embedding\": true"),
    ];
    for (from, to) in changes {
        assert!(good.contains(from), "{from}");
        std::fs::write(dir.path().join("config.json"), good.replace(from, to)).unwrap();
        let loaded = Checkpoint::open(dir.path()).and_then(|c| Marian::load(&c, None));
        assert!(loaded.is_err(), "{to}");
    }
    let head = Some(AlignmentHead { layer: 2, head: 0 });
    assert!(Marian::load(&Checkpoint::open(&folder("opus")).unwrap(), head).is_err());
}
