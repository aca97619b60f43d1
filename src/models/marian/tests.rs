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

fn model(shape: &str, head: Option<AlignmentHead>, compute: Compute) -> Marian {
    Marian::load(&Checkpoint::open(&folder(shape)).unwrap(), head, compute).unwrap()
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-4, "{what}: off by {worst}");
}

fn logits(session: &MarianSession) -> Vec<f32> {
    session.model.output.logits(&session.predicted, 0)
}

#[test]
fn encoder_states_logits_and_attention_equal_transformers() {
    for shape in SHAPES {
        for (n, run) in golden(shape).iter().enumerate() {
            let whole = model(shape, None, Compute::Float32);
            let mut buffers = whole.new_buffers().unwrap();
            let rows = Rows::new(&[&run.source]);
            let states = whole.encode(&[&run.source], &rows, &mut buffers).unwrap();
            assert_close(&states, &run.encoder, &format!("{shape} {n} encoder"));

            for layer in 0..whole.info.decoder_layers {
                for head in 0..whole.info.decoder_heads {
                    let head_of = Some(AlignmentHead { layer, head, shifted: false });
                    let model = model(shape, head_of, Compute::Float32);
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

/// Log-probabilities of all tokens and the attention of `row`, as bits, over some steps.
fn bits(model: &Marian, sources: &[&[u32]], row: usize) -> Vec<u32> {
    let mut session = model.session(sources).unwrap();
    let mut seen = Vec::new();
    for input in [model.info.decoder_start, 3, 5, 8] {
        let banned = vec![vec![]; sources.len()];
        let best = session.step(&vec![input; sources.len()], 3, &banned).unwrap();
        seen.extend(best[row].iter().flat_map(|c| [c.id, c.log_prob.to_bits()]));
        let ids = 0..model.info.target_vocab as u32;
        seen.extend(ids.map(|id| session.log_prob(row, id).to_bits()));
        seen.extend(session.attention(row).iter().map(|x| x.to_bits()));
    }
    seen
}

/// Every sentence alone, then all together in several orders: the same bits.
#[test]
fn a_sentence_does_not_depend_on_its_batch() {
    for (shape, compute) in SHAPES.iter().flat_map(|s| [(s, Compute::Float32), (s, Compute::Int8)])
    {
        let model = model(shape, None, compute);
        let runs = golden(shape);
        for (n, run) in runs.iter().enumerate() {
            let what = format!("{shape} {compute:?} {n}");
            let alone = bits(&model, &[&run.source], 0);
            let mut batch: Vec<&[u32]> = runs.iter().map(|run| run.source.as_slice()).collect();
            assert_eq!(bits(&model, &batch, n), alone, "{what}");
            batch.reverse();
            let at = batch.len() - 1 - n;
            assert_eq!(bits(&model, &batch, at), alone, "{what} reversed");
            let many: Vec<&[u32]> = batch.iter().copied().cycle().take(50).collect();
            assert_eq!(bits(&model, &many, at), alone, "{what} of fifty");
        }
    }
}

/// Eight bits lose something, and not much: the probabilities of random models, which are far more
/// sensitive than trained ones, stay within a few hundredths on average.
#[test]
fn int8_is_close_to_float32() {
    for shape in SHAPES {
        let models = [Compute::Float32, Compute::Int8].map(|c| model(shape, None, c));
        for run in golden(shape) {
            let [exact, rounded] = [0, 1].map(|i| {
                let mut session = models[i].session(&[&run.source]).unwrap();
                session.step(&[models[i].info.decoder_start], 1, &[vec![]]).unwrap();
                let ids = 0..models[i].info.target_vocab as u32;
                ids.map(|id| session.log_prob(0, id).exp()).collect::<Vec<f32>>()
            });
            let off: f32 = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).sum();
            assert!(off < 0.15, "{shape}: total variation {off}");
            let besides: f32 = rounded[1..].iter().sum();
            let mut session = models[1].session(&[&run.source]).unwrap();
            session.step(&[models[1].info.decoder_start], 1, &[vec![]]).unwrap();
            assert!((session.log_prob_besides(0, &[0]).exp() - besides).abs() < 1e-4);
        }
    }
}

#[test]
fn bad_sources_are_errors() {
    let model = model("opus", None, Compute::Float32);
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
        let loaded =
            Checkpoint::open(dir.path()).and_then(|c| Marian::load(&c, None, Compute::Float32));
        assert!(loaded.is_err(), "{to}");
    }
    let head = Some(AlignmentHead { layer: 2, head: 0, shifted: false });
    assert!(
        Marian::load(&Checkpoint::open(&folder("opus")).unwrap(), head, Compute::Float32).is_err()
    );
}
