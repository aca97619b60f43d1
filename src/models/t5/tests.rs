#![allow(clippy::unwrap_used)]
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

/// A teacher-forced run of transformers' model; made by scripts/reference/t5.py.
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

const SHAPES: [&str; 4] = ["t5", "v1_1", "mt5", "silu"];

fn folder(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/t5").join(shape)
}

fn golden(shape: &str) -> Vec<Forced> {
    let text = std::fs::read_to_string(folder(shape).join("golden.json")).unwrap();
    serde_json::from_str::<Golden>(&text).unwrap().forced
}

fn model(shape: &str, head: Option<AlignmentHead>, compute: Compute) -> T5 {
    T5::load(&Checkpoint::open(&folder(shape)).unwrap(), head, compute).unwrap()
}

/// How far two lists are apart at most.
fn distance(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max)
}

/// Logits `[target, vocabulary]` and attention `[target, source]` of a forced target.
fn force(model: &T5, run: &Forced) -> (Vec<f32>, Vec<f32>) {
    let mut session = model.session(&[&run.source]).unwrap();
    let (mut all, mut attention) = (Vec::new(), Vec::new());
    let mut input = model.info.decoder_start;
    for &id in &run.target {
        session.step(&[input], 1, &[vec![]]).unwrap();
        all.extend(model.output.logits(&session.predicted, 0));
        attention.extend_from_slice(session.attention(0));
        input = id;
    }
    (all, attention)
}

#[test]
fn encoder_states_logits_and_attention_equal_transformers() {
    let (mut states_off, mut logits_off, mut attention_off) = (0f32, 0f32, 0f32);
    for shape in SHAPES {
        let whole = model(shape, None, Compute::Float32);
        let heads = whole.info.decoder_heads;
        for run in golden(shape) {
            let mut scratch = Scratch::new(Compute::Float32).unwrap();
            let rows = Rows::new(&[&run.source]);
            let states = whole.encode(&[&run.source], &rows, &mut scratch).unwrap();
            states_off = states_off.max(distance(&states, &run.encoder));

            let size = run.target.len() * run.source.len();
            assert_eq!(run.cross_attention.len(), whole.info.decoder_layers);
            for (layer, theirs) in run.cross_attention.iter().enumerate() {
                for head in 0..heads {
                    let head_of = Some(AlignmentHead { layer, head, shifted: false });
                    let (logits, attention) = force(&model(shape, head_of, Compute::Float32), &run);
                    let theirs = &theirs[head * size..(head + 1) * size];
                    logits_off = logits_off.max(distance(&logits, &run.logits));
                    attention_off = attention_off.max(distance(&attention, theirs));
                }
            }
            // Where no head is named: the mean over those of the last layer.
            let last = run.cross_attention.last().unwrap();
            let mean: Vec<f32> = (0..size)
                .map(|i| (0..heads).map(|head| last[head * size + i]).sum::<f32>() / heads as f32)
                .collect();
            attention_off = attention_off.max(distance(&force(&whole, &run).1, &mean));
        }
    }
    let off = [states_off, logits_off, attention_off];
    assert!(off.iter().all(|&off| off < 1e-4), "states, logits, attention off by {off:?}");
}

/// Log-probabilities of all tokens and the attention of `row`, as bits, over some steps.
fn bits(model: &T5, sources: &[&[u32]], row: usize) -> Vec<u32> {
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

/// Random models are far more sensitive to eight bits than trained ones.
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
        }
    }
}

#[test]
fn bad_sources_are_errors() {
    let model = model("t5", None, Compute::Float32);
    for source in [&[][..], &[71], &[1; MAX_POSITIONS + 1]] {
        assert!(matches!(model.session(&[source]), Err(Error::Usage(_))));
    }
}

/// A copy of a golden checkpoint whose config.json has `from` replaced by `to`.
fn changed(shape: &str, from: &str, to: &str) -> Result<T5> {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(folder(shape).join("config.json")).unwrap();
    assert!(good.contains(from), "{from}");
    std::fs::write(dir.path().join("config.json"), good.replace(from, to)).unwrap();
    std::fs::copy(folder(shape).join("model.safetensors"), dir.path().join("model.safetensors"))
        .unwrap();
    T5::load(&Checkpoint::open(dir.path()).unwrap(), None, Compute::Float32)
}

#[test]
fn bad_configurations_are_errors() {
    let changes = [
        ("\"d_model\": 32", "\"d_model\": 30"),
        ("\"d_model\": 32", "\"d_model\": 0"),
        ("\"d_model\": 32", "\"d_modell\": 32"),
        ("\"d_kv\": 8", "\"d_kv\": 18446744073709551615"),
        ("\"num_heads\": 4", "\"num_heads\": 2"),
        ("\"num_heads\": 4", "\"num_heads\": 1000000"),
        ("\"num_decoder_layers\": 2", "\"num_decoder_layers\": 1000000000000"),
        ("\"num_decoder_layers\": 2", "\"num_decoder_layers\": 3"),
        ("\"vocab_size\": 71", "\"vocab_size\": 72"),
        ("\"decoder_start_token_id\": 0", "\"decoder_start_token_id\": 71"),
        ("\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 3"),
        ("\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 31"),
        ("\"relative_attention_max_distance\": 128", "\"relative_attention_max_distance\": 16"),
        ("\"layer_norm_epsilon\": 1e-06", "\"layer_norm_epsilon\": -1"),
        ("\"feed_forward_proj\": \"relu\"", "\"feed_forward_proj\": \"gated-sine\""),
        ("\"feed_forward_proj\": \"relu\"", "\"feed_forward_proj\": \"gated-gelu\""),
    ];
    for (from, to) in changes {
        assert!(changed("t5", from, to).is_err(), "{to}");
    }
    let head = Some(AlignmentHead { layer: 2, head: 0, shifted: false });
    let checkpoint = Checkpoint::open(&folder("t5")).unwrap();
    assert!(T5::load(&checkpoint, head, Compute::Float32).is_err());
}

#[test]
fn outputs_are_scaled_where_the_table_is_shared() {
    let scaled = |shape, from, to| changed(shape, from, to).unwrap().config.scale_output;
    let tied = "\"tie_word_embeddings\": true";
    assert!(scaled("t5", tied, tied));
    assert!(scaled("t5", tied, "\"tie_word_embeddings\": null"));
    assert!(!scaled("t5", tied, "\"tie_word_embeddings\": false"));
    // As transformers 5 writes T5 1.1, whose tables differ.
    assert!(!scaled("t5", tied, "\"tie_word_embeddings\": true, \"scale_decoder_outputs\": false"));
    assert!(!scaled("mt5", "\"tie_word_embeddings\": false", tied));
}

#[test]
fn absent_fields_are_those_of_the_model_type() {
    let read = |from: &str, to: &str| changed("t5", from, to).unwrap().config;
    assert_eq!(read("\"feed_forward_proj\"", "\"x\"").activation, Activation::Relu);
    assert_eq!(read("\"relative_attention_max_distance\"", "\"x\"").max_distance, 128);
    assert_eq!(read("\"num_decoder_layers\"", "\"x\"").decoder_layers, 2);
    let mt5 = changed("mt5", "\"feed_forward_proj\"", "\"x\"").unwrap().config;
    assert!(mt5.gated);
    assert_eq!(mt5.activation, Activation::GeluNew);
}
