//! Checkpoints in every form of the hub, against values that torch wrote with them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tarjim::Error;
use tarjim::checkpoint::{Checkpoint, Weights};

const FORMS: [&str; 6] =
    ["safetensors", "zip", "legacy", "sharded-safetensors", "sharded-zip", "sharded-legacy"];

#[derive(Deserialize)]
struct Expected {
    tensors: BTreeMap<String, Values>,
    refused: BTreeMap<String, Refused>,
}

#[derive(Deserialize)]
struct Values {
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Refused {
    shape: Vec<usize>,
    message: String,
}

fn golden(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoints").join(form)
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap()
}

/// Bit patterns, so that zeros of either sign differ.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn values(weights: &Weights, name: &str) -> tarjim::Result<Vec<f32>> {
    let shape = weights.shape(name).unwrap().to_vec();
    Ok(weights.get(name, &shape)?.flatten_all()?.to_vec1()?)
}

fn message(result: tarjim::Result<impl Sized>) -> String {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.to_string(),
    }
}

/// A copy of a golden folder that a test can spoil.
fn copy(form: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden(form)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

#[test]
fn every_form_holds_the_values_that_torch_wrote() {
    let expected = expected();
    for form in FORMS {
        let weights = Checkpoint::open(&golden(form)).unwrap().weights().unwrap();
        for (name, tensor) in &expected.tensors {
            assert!(weights.contains(name), "{form}: {name}");
            assert_eq!(weights.shape(name), Some(tensor.shape.as_slice()), "{form}: {name}");
            let values = values(&weights, name).unwrap();
            assert_eq!(bits(&values), bits(&tensor.values), "{form}: {name}");
        }
        for (name, refused) in &expected.refused {
            let message = message(weights.get(name, &refused.shape));
            assert!(message.contains(&refused.message), "{form}: {message}");
            assert!(message.contains(name), "{form}: {message}");
        }
        let names = expected.tensors.len() + expected.refused.len();
        assert_eq!(weights.names().count(), names, "{form}");
    }
}

#[test]
fn a_tensor_must_be_there_in_the_right_shape() {
    for form in FORMS {
        let weights = Checkpoint::open(&golden(form)).unwrap().weights().unwrap();
        assert!(message(weights.get("absent", &[1])).contains("`absent` is missing"));
        assert!(
            message(weights.get("base", &[6, 8])).contains("is [8, 6], the model needs [6, 8]")
        );
        assert!(weights.get_any(&["absent", "other"], &[1]).unwrap().is_none());
        let found = weights.get_any(&["absent", "base", "half"], &[8, 6]).unwrap().unwrap();
        assert_eq!(found.dims(), [8, 6]);
    }
}

#[test]
fn configuration_and_generation_are_read() {
    #[derive(Deserialize)]
    struct Config {
        d_model: usize,
    }
    let checkpoint = Checkpoint::open(&golden("zip")).unwrap();
    assert_eq!(checkpoint.model_type().unwrap(), "marian");
    assert_eq!(checkpoint.parse_config::<Config>().unwrap().d_model, 4);
    assert_eq!(checkpoint.config()["max_length"], 512);
    let generation = checkpoint.generation();
    assert_eq!((generation.num_beams, generation.max_length), (4, 512));
    assert_eq!(generation.eos_token_id, [0]);
    assert_eq!(generation.bad_words_ids, [[6]]);
}

#[test]
fn a_folder_that_is_not_a_model_is_named_with_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(folder.path());
    assert!(message(open()).ends_with("holds no config.json"));
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(message(open()).contains("holds no weights (model.safetensors,"));
    fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    assert!(message(open().unwrap().model_type()).contains("missing field `model_type`"));
    assert!(message(open().unwrap().weights()).contains("neither safetensors nor"));
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    fs::write(folder.path().join("pytorch_model.bin"), pointer).unwrap();
    assert!(message(open().unwrap().weights()).contains("Git LFS pointer"));
    let absent = Checkpoint::open(&folder.path().join("absent"));
    assert!(matches!(absent, Err(Error::Read { .. })));
}

#[test]
fn safetensors_is_preferred() {
    let folder = copy("safetensors");
    fs::write(folder.path().join("pytorch_model.bin"), "not a checkpoint").unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap().weights().unwrap().contains("base"));
}

#[test]
fn an_index_names_files_beside_it_and_nothing_else() {
    let folder = copy("sharded-safetensors");
    let index = folder.path().join("model.safetensors.index.json");
    let outside = golden("safetensors").join("model.safetensors");
    let weights = |json: String| {
        fs::write(&index, json).unwrap();
        Checkpoint::open(folder.path()).unwrap().weights()
    };
    let shard = "model-00001-of-00002.safetensors";
    for bad in [
        "../model.safetensors",
        "/etc/hostname",
        "",
        ".",
        "..",
        "sub/model.safetensors",
        "sub\\\\model.safetensors",
        &format!("./{shard}"),
        &format!("{shard}/"),
        &outside.display().to_string(),
    ] {
        let json = format!(r#"{{"weight_map": {{"base": "{bad}"}}}}"#);
        assert!(message(weights(json)).contains("not the name of a file beside it"), "{bad}");
    }
    let absent = weights(r#"{"weight_map": {"base": "absent.safetensors"}}"#.into());
    assert!(matches!(absent, Err(Error::MissingFile { .. })));
    let elsewhere = weights(format!(r#"{{"weight_map": {{"window": "{shard}"}}}}"#));
    assert!(message(elsewhere).contains("`window` is missing"));
    let few = weights(format!(r#"{{"weight_map": {{"half": "{shard}"}}}}"#)).unwrap();
    assert_eq!(few.names().collect::<Vec<_>>(), ["half"]);
    for bad in ["", "[]", "{}", r#"{"weight_map": []}"#, r#"{"weight_map": {"base": 1}}"#] {
        assert!(message(weights(bad.into())).contains("index of weights files"), "{bad}");
    }
}
