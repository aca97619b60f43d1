//! The hub against a server that misbehaves in every way a download can go wrong. After each, the
//! cache is proven whole: every blob under its final name has the bytes its name stands for, and
//! every link and reference leads somewhere.
#![allow(clippy::unwrap_used)]

mod hub_server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hub_server::{FIRST, Fault, REPO, SECOND, Server, WEIGHTS, files, hex};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tarjim::Error;
use tarjim::hub::{Event, Hub, HubError, Integrity, Progress, Resolved, Settings, Token};

const MODEL: &str = "opus-mt-ar-en";

/// A server, an empty cache, and a hub between them that loses patience quickly.
struct Place {
    server: Server,
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Place {
    fn new() -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::from_vars(|_| None);
        settings.endpoint.clone_from(&server.url);
        settings.cache_dir = folder.path().join("hub");
        settings.config_dir = folder.path().join("config");
        settings.read_timeout = Duration::from_millis(400);
        settings.lock_timeout = Duration::from_millis(400);
        settings.retry_delay = Duration::from_millis(10);
        settings.retries = 2;
        Place { server, folder, settings }
    }

    fn hub(&self) -> Hub {
        Hub::new(self.settings.clone())
    }

    fn resolve(&self) -> Result<Resolved, HubError> {
        self.resolve_model(MODEL)
    }

    fn resolve_model(&self, model: &str) -> Result<Resolved, HubError> {
        self.hub().resolve(model, &()).map_err(hub_error)
    }

    fn repo(&self) -> PathBuf {
        self.settings.cache_dir.join("models--Helsinki-NLP--opus-mt-ar-en")
    }

    fn partial(&self) -> PathBuf {
        let weights = &files("marian", 1)[WEIGHTS];
        self.repo().join("blobs").join(format!("{}.incomplete", hex(Sha256::digest(weights))))
    }

    /// The program with this place's server, cache and nothing else of the environment.
    fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
        command
            .args(args)
            .env_clear()
            .env("HF_ENDPOINT", &self.server.url)
            .env("HF_HUB_CACHE", &self.settings.cache_dir)
            .env("TARJIM_CONFIG_DIR", &self.settings.config_dir)
            .env("HOME", self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Resolves, and compares every file with the server's.
    fn assert_installs(&self) -> Resolved {
        let resolved = self.resolve().unwrap();
        self.assert_is(&resolved, FIRST, &files("marian", 1));
        resolved
    }

    fn assert_is(
        &self,
        resolved: &Resolved,
        commit: &str,
        files: &std::collections::BTreeMap<String, Vec<u8>>,
    ) {
        assert_eq!(resolved.revision.as_deref(), Some(commit));
        for (name, bytes) in files.iter().filter(|(name, _)| *name != "tf_model.h5") {
            assert!(std::fs::read(resolved.folder.join(name)).unwrap() == *bytes, "{name}");
        }
        assert!(!resolved.folder.join("tf_model.h5").exists(), "only the files needed");
        self.assert_whole();
        let left = walk(&self.repo()).into_iter().find(|path| {
            path.to_string_lossy().ends_with("incomplete")
                || path.to_string_lossy().ends_with("tmp")
        });
        assert_eq!(left, None);
    }

    /// Proves that nothing in the cache claims to be what it is not.
    fn assert_whole(&self) {
        for path in walk(&self.settings.cache_dir) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let parent = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            if parent == "blobs" && !name.ends_with(".incomplete") {
                let bytes = std::fs::read(&path).unwrap();
                let found = match name.len() {
                    64 => hex(Sha256::digest(&bytes)),
                    _ => {
                        let mut sha1 = Sha1::new();
                        sha1.update(format!("blob {}\0", bytes.len()));
                        sha1.update(&bytes);
                        hex(sha1.finalize())
                    }
                };
                assert_eq!(found, name, "a blob is not what its name says");
            } else if path.iter().any(|part| part == "snapshots") {
                assert!(path.exists(), "{} leads nowhere", path.display());
            } else if parent == "refs" {
                let commit = std::fs::read_to_string(&path).unwrap();
                let snapshot = self.repo().join("snapshots").join(commit);
                assert!(snapshot.join(WEIGHTS).exists(), "a reference to an unfinished snapshot");
            }
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn hub_error(error: Error) -> HubError {
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    match error {
        Error::Hub(error) => error,
        other => panic!("{other}"),
    }
}

/// Remembers events as text.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn on(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Notes {
    fn count(&self, word: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|note| note.contains(word)).count()
    }
}

#[test]
fn the_first_use_downloads_and_the_second_asks_nobody() {
    let place = Place::new();
    let resolved = place.assert_installs();
    assert_eq!(resolved.name, MODEL);
    assert_eq!(resolved.licence.as_deref(), Some("apache-2.0"));
    assert_eq!(resolved.alignment_head.map(|at| (at.layer, at.head)), Some((5, 0)));
    place.server.forget_log();
    assert_eq!(place.resolve().unwrap().folder, resolved.folder);
    let folder = resolved.folder.to_str().unwrap();
    assert_eq!(place.hub().download(folder, &()).unwrap().folder, resolved.folder);
    // By the name of its repository as well, and offline.
    let mut offline = place.settings.clone();
    offline.offline = true;
    assert_eq!(Hub::new(offline).resolve(REPO, &()).unwrap().folder, resolved.folder);
    assert!(place.server.log().is_empty(), "{:?}", place.server.log());
}

#[test]
fn a_cut_transfer_is_resumed_where_it_stopped() {
    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::Cut(100_000));
    place.server.fail("GET", WEIGHTS, Fault::Cut(50_000));
    place.assert_installs();
    let reads = place.server.reads(WEIGHTS);
    assert_eq!(reads.len(), 3, "{reads:?}");
    assert_eq!(reads[0], None);
    // What the operating system threw away of a closed connection is fetched again.
    for read in &reads[1..] {
        let from: u32 =
            read.as_ref().unwrap()["bytes=".len()..].split('-').next().unwrap().parse().unwrap();
        assert!(from > 0, "{reads:?}");
    }
}

#[test]
fn a_connection_that_keeps_breaking_is_given_up_and_resumed_by_the_next_run() {
    let mut place = Place::new();
    place.settings.retries = 0;
    place.server.fail("GET", WEIGHTS, Fault::Cut(100_000));
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Interrupted { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("goes on where it stopped"));
    place.assert_whole();
    let have = std::fs::metadata(place.partial()).unwrap().len();
    assert!(have > 0 && have <= 100_000, "{have}");
    assert!(!place.repo().join("refs").exists());
    place.server.forget_log();
    place.assert_installs();
    assert_eq!(place.server.reads(WEIGHTS), [Some(format!("bytes={have}-299999"))]);
}

#[test]
fn a_stall_is_noticed_and_the_rest_is_fetched() {
    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::Stall(200_000));
    let begin = Instant::now();
    place.assert_installs();
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[test]
fn a_server_that_only_stalls_is_a_timeout() {
    let place = Place::new();
    for _ in 0..3 {
        place.server.fail("GET", WEIGHTS, Fault::Stall(0));
    }
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Timeout { .. }), "{error:?}");
    place.assert_whole();
}

#[test]
fn a_wrong_length_is_never_installed() {
    for lie in [-1000, 1000] {
        let place = Place::new();
        for _ in 0..3 {
            place.server.fail("GET", WEIGHTS, Fault::Lie(lie));
        }
        let error = place.resolve().unwrap_err();
        assert!(matches!(error, HubError::WrongSize { .. }), "{lie}: {error:?}");
        place.assert_whole();
        place.assert_installs();
    }
}

#[test]
fn an_error_page_is_never_installed() {
    // With status 200 it is told by its length, for a large file and a small one alike.
    for file in [WEIGHTS, "vocab.json"] {
        let place = Place::new();
        for _ in 0..3 {
            place.server.fail("GET", file, Fault::Page(200));
        }
        let error = place.resolve().unwrap_err();
        assert!(matches!(error, HubError::WrongSize { .. }), "{file}: {error:?}");
        place.assert_whole();
        place.assert_installs();
    }
    let place = Place::new();
    for _ in 0..3 {
        place.server.fail("GET", WEIGHTS, Fault::Page(500));
    }
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Server { status: 500, .. }), "{error:?}");
    place.assert_whole();
    // Once is no failure.
    place.server.fail("GET", WEIGHTS, Fault::Page(503));
    place.assert_installs();
}

#[test]
fn a_login_page_in_place_of_the_hub_is_named_as_such() {
    let place = Place::new();
    place.server.fail("HEAD", "config.json", Fault::Page(200));
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::BadResponse { .. }), "{error:?}");
    place.assert_whole();
}

#[test]
fn a_flipped_bit_is_found_and_the_file_fetched_again() {
    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::FlipBit);
    place.assert_installs();

    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::FlipBit);
    place.server.fail("GET", WEIGHTS, Fault::FlipBit);
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Checksum { .. }), "{error:?}");
    assert!(!place.partial().exists());
    place.assert_whole();
    place.assert_installs();
}

#[test]
fn whatever_lies_under_the_unfinished_name_does_no_harm() {
    for garbage in [0usize, 10, 150_000, 300_000, 400_000] {
        let place = Place::new();
        std::fs::create_dir_all(place.partial().parent().unwrap()).unwrap();
        std::fs::write(place.partial(), vec![7; garbage]).unwrap();
        place.assert_installs();
    }
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::Cut(100_000));
    place.server.fail("GET", WEIGHTS, Fault::NoRange);
    place.assert_installs();
}

#[test]
fn a_branch_that_moves_meanwhile_does_not_mix_two_commits() {
    let place = Place::new();
    place.server.commit(SECOND, files("marian", 2));
    place.server.fail("HEAD", "source.spm", Fault::MoveMain(SECOND));
    place.assert_installs();

    // The next download brings the new commit, and only the blobs that differ.
    place.server.forget_log();
    let resolved = place.hub().download(MODEL, &()).unwrap();
    place.assert_is(&resolved, SECOND, &files("marian", 2));
    let gets = place.server.log().into_iter().filter(|r| r.method == "GET");
    assert!(
        gets.clone().all(|r| !r.path.ends_with("vocab.json")),
        "{:?}",
        gets.collect::<Vec<_>>()
    );
}

#[test]
fn each_status_has_its_own_error() {
    type Is = fn(&HubError) -> bool;
    let cases: [(u16, &str, Is); 8] = [
        (401, "", |e| matches!(e, HubError::Unauthorized { .. })),
        (401, "RepoNotFound", |e| matches!(e, HubError::RepoNotFound { .. })),
        (403, "GatedRepo", |e| matches!(e, HubError::Gated { .. })),
        (403, "", |e| matches!(e, HubError::Forbidden { .. })),
        (404, "EntryNotFound", |e| matches!(e, HubError::FileNotFound { .. })),
        (407, "", |e| matches!(e, HubError::Proxy { .. })),
        (429, "", |e| matches!(e, HubError::RateLimited { .. })),
        (503, "", |e| matches!(e, HubError::Server { status: 503, .. })),
    ];
    for (status, code, is) in cases {
        for method in ["HEAD", "GET"] {
            let place = Place::new();
            for _ in 0..3 {
                place.server.fail(method, "config.json", Fault::Status(status, code));
            }
            let error = place.resolve().unwrap_err();
            assert!(is(&error), "{method} {status} {code}: {error:?}");
            assert!(error.hint().is_some());
            place.assert_whole();
        }
    }
    let mut place = Place::new();
    place.settings.revision = Some("no-such-branch".into());
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::RevisionNotFound { .. }), "{error:?}");
    place.settings.revision = None;
    let error = place.resolve_model("nobody/nothing").unwrap_err();
    assert!(matches!(error, HubError::RepoNotFound { .. }), "{error:?}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let place = Place::new();
    place.server.fail("HEAD", "vocab.json", Fault::Status(429, ""));
    place.server.fail("GET", "vocab.json", Fault::Status(503, ""));
    let notes = Notes::default();
    place.hub().resolve(MODEL, &notes).unwrap();
    assert_eq!(notes.count("Retry"), 2);
    place.assert_installs();
}

#[test]
fn without_a_network_each_cause_has_its_own_error() {
    let mut place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.settings.endpoint = format!("http://{free}");
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");

    place.settings.endpoint = "http://no-such-host.invalid".into();
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Dns { .. }), "{error:?}");

    // A server that speaks no TLS.
    place.settings.endpoint = place.server.url.replace("http:", "https:");
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Tls { .. }), "{error:?}");

    place.settings.endpoint = "not an address".into();
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Client(_)), "{error:?}");

    place.settings.offline = true;
    let error = place.resolve().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Model `opus-mt-ar-en` is not in the cache, and network access is disabled"
    );
    assert!(error.hint().unwrap().contains("once without `--offline`"));
}

#[test]
fn a_certificate_file_that_is_none_is_named() {
    let mut place = Place::new();
    let missing = place.folder.path().join("ca.pem");
    place.settings.ca_bundle = Some(missing.clone());
    let error = place.resolve().unwrap_err();
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
}

#[test]
fn a_disk_without_room_is_noticed_before_and_during_the_download() {
    let place = Place::new();
    place.server.fail("HEAD", WEIGHTS, Fault::Announce(1 << 60));
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::DiskFull { .. }), "{error:?}");
    assert!(place.server.reads(WEIGHTS).is_empty());
    place.assert_whole();

    #[cfg(target_os = "linux")]
    {
        let place = Place::new();
        std::fs::create_dir_all(place.partial().parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", place.partial()).unwrap();
        let error = place.resolve().unwrap_err();
        assert!(matches!(error, HubError::DiskFull { .. }), "{error:?}");
        std::fs::remove_file(place.partial()).unwrap();
        place.assert_installs();
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_read_all_the_same() {
    let mut place = Place::new();
    let resolved = place.assert_installs();
    // Nothing is written for a model that is here.
    let before = walk(&place.settings.cache_dir).len();
    assert_eq!(place.resolve().unwrap().folder, resolved.folder);
    assert_eq!(walk(&place.settings.cache_dir).len(), before);

    // A file where the folder should be: refused to the superuser too, unlike missing rights.
    let file = place.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    place.settings.cache_dir = file.join("hub");
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::ReadOnly { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--cache-dir"));
}

#[test]
fn two_downloads_at_once_fetch_each_file_once() {
    let mut place = Place::new();
    place.settings.read_timeout = Duration::from_secs(5);
    // Slower than the patience with a lock: the second waits as long as the first gets on.
    place.server.fail("GET", WEIGHTS, Fault::Slow(12, Duration::from_millis(100)));
    let notes = Notes::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| place.hub().resolve(MODEL, &notes).unwrap());
        }
    });
    assert_eq!(place.server.reads(WEIGHTS).len(), 1);
    assert!(notes.count("Waiting") >= 1);
    place.assert_installs();
}

#[test]
fn a_download_killed_half_way_is_resumed() {
    let place = Place::new();
    place.server.fail("GET", WEIGHTS, Fault::Slow(30, Duration::from_millis(100)));
    let mut program = place.program(&["models", "download", MODEL]).spawn().unwrap();
    let begin = Instant::now();
    while std::fs::metadata(place.partial()).map_or(0, |f| f.len()) < 50_000 {
        assert!(begin.elapsed() < Duration::from_secs(20), "no byte arrived");
        std::thread::sleep(Duration::from_millis(20));
    }
    program.kill().unwrap();
    program.wait().unwrap();
    place.assert_whole();
    assert!(place.hub().locate(MODEL).unwrap().is_none());
    place.server.forget_log();
    place.assert_installs();
    let reads = place.server.reads(WEIGHTS);
    assert!(matches!(&reads[..], [Some(_)]), "{reads:?}");
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let mut place = Place::new();
    place.server.require_token("hf_right");
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Gated { .. }), "{error:?}");
    // A wrong one is not repeated in the message.
    place.settings.token = Token::new("hf_wrong");
    let error = place.resolve().unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hf_wrong"), "{error:?}");

    place.settings.token = Token::new("hf_right");
    place.assert_installs();
    let (storage, hub): (Vec<_>, Vec<_>) =
        place.server.log().into_iter().partition(|request| request.to_storage);
    assert!(storage.iter().all(|request| request.authorization.is_none()));
    assert!(hub.iter().any(|request| request.authorization.is_some()));
}

#[test]
fn a_licence_is_shown_once_and_a_restrictive_one_needs_agreement() {
    let mut place = Place::new();
    let notes = Notes::default();
    place.hub().resolve(MODEL, &notes).unwrap();
    assert_eq!(notes.count("Licence"), 1);
    place.hub().download(MODEL, &notes).unwrap();
    assert_eq!(notes.count("Licence {"), 1);

    place.server.set_licence("cc-by-nc-4.0");
    place.server.forget_log();
    let error = place.resolve_model("some/model").unwrap_err();
    assert!(matches!(error, HubError::LicenceNotAccepted { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--accept-license"));
    let asked = place.server.log();
    assert!(asked.iter().all(|r| r.path.starts_with("/api/")), "{asked:?}");

    // Terms that nobody states are no permission.
    let error = place.resolve_model("mirror/model").unwrap_err();
    assert!(error.to_string().contains("no stated licence"), "{error}");

    place.settings.accept_licence = true;
    place.resolve_model("some/model").unwrap();
    // Recorded: not asked again, not even after the model was removed.
    place.settings.accept_licence = false;
    place.hub().remove("some/model").unwrap();
    place.resolve_model("some/model").unwrap();
    place.assert_whole();
}

#[test]
fn a_repository_outside_the_registry_is_judged_by_its_config() {
    let place = Place::new();
    place.server.set_licence("mit");
    let resolved = place.resolve_model("some/model").unwrap();
    assert_eq!(resolved.licence.as_deref(), Some("mit"));
    assert!(resolved.folder.join(WEIGHTS).exists());
    assert!(place.hub().list().iter().any(|model| model.name == "some/model"));

    place.server.commit(SECOND, files("bert", 3));
    place.server.set_ref("main", SECOND);
    place.server.forget_log();
    let error = place.resolve_model("another/model").unwrap_err();
    assert!(matches!(error, HubError::UnsupportedType { .. }), "{error:?}");
    assert!(place.server.reads(WEIGHTS).is_empty(), "weights that cannot be used were fetched");
    // A manifest that does not fit what the repository holds is not trusted either.
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::UnsupportedType { .. }), "{error:?}");
}

#[test]
fn a_pull_request_and_better_weights_are_found() {
    let mut place = Place::new();
    let mut with_safetensors = files("marian", 1);
    with_safetensors.insert("model.safetensors".into(), vec![9; 2000]);
    place.server.commit(SECOND, with_safetensors);
    place.server.set_ref("refs/pr/6", SECOND);
    place.settings.revision = Some("refs/pr/6".into());
    let resolved = place.resolve().unwrap();
    assert!(resolved.folder.join("model.safetensors").exists());
    assert!(!resolved.folder.join(WEIGHTS).exists());
    // A commit is its own name and needs no reference.
    place.settings.revision = Some(SECOND.into());
    place.server.forget_log();
    assert_eq!(place.resolve().unwrap().folder, resolved.folder);
    assert!(place.server.log().is_empty());
}

#[test]
fn damage_in_the_cache_is_found_and_removal_leaves_nothing() {
    let place = Place::new();
    let resolved = place.assert_installs();
    let hub = place.hub();
    let state = |hub: &Hub| -> Vec<Integrity> {
        hub.verify(MODEL).unwrap().into_iter().map(|report| report.integrity).collect()
    };
    assert!(state(&hub).iter().all(|integrity| *integrity == Integrity::Intact));
    let weights = resolved.folder.join(WEIGHTS);
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[5] ^= 1;
    std::fs::write(std::fs::canonicalize(&weights).unwrap(), bytes).unwrap();
    std::fs::remove_file(resolved.folder.join("vocab.json")).unwrap();
    let found = state(&hub);
    assert_eq!(found.iter().filter(|i| **i == Integrity::Damaged).count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|i| **i == Integrity::Missing).count(), 1, "{found:?}");

    assert!(hub.remove(MODEL).unwrap() > 300_000);
    assert!(walk(&place.settings.cache_dir).is_empty());
    let again = hub_error(hub.remove(MODEL).unwrap_err());
    assert!(matches!(again, HubError::NotCached(_)), "{again:?}");
    place.assert_installs();
}

#[test]
fn a_blob_of_the_wrong_length_is_replaced() {
    let place = Place::new();
    // What hf-hub leaves behind when a server answers with an error page.
    let blob = place.partial().with_extension("");
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::fs::write(&blob, "<html>").unwrap();
    place.assert_installs();
}

#[test]
fn a_certificate_authority_of_ones_own_can_be_named() {
    let mut place = Place::new();
    place.settings.endpoint = place.server.start_tls();
    let error = place.resolve().unwrap_err();
    assert!(matches!(error, HubError::Tls { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("SSL_CERT_FILE"));

    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub_server/tls/ca.pem");
    place.settings.ca_bundle = Some(authority.clone());
    place.assert_installs();
    // By each of the variables, in an empty cache.
    for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
        // Only Linux lets a file stand for the system's own authorities.
        if variable == "SSL_CERT_FILE" && !cfg!(target_os = "linux") {
            continue;
        }
        place.hub().remove(MODEL).unwrap();
        let mut command = place.program(&["models", "download", MODEL]);
        command.env("HF_ENDPOINT", &place.settings.endpoint).env(variable, &authority);
        let (ok, _, err) = output(&mut command);
        assert!(ok, "{variable}: {err}");
    }
}

/// What a command wrote, and whether it succeeded.
fn output(command: &mut Command) -> (bool, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_downloads_shows_verifies_and_removes() {
    let place = Place::new();
    let run = |args: &[&str]| output(&mut place.program(args));
    let (ok, out, err) = run(&["models", "download", MODEL]);
    assert!(ok, "{err}");
    let folder = PathBuf::from(out.trim_end());
    assert!(folder.join("config.json").exists(), "{out}");
    // Not on a terminal: plain lines, no bar, and the licence among them.
    assert!(err.contains("apache-2.0; commercial use allowed"), "{err}");
    assert!(err.contains(&format!("fetching {WEIGHTS} (300.00 kB)")), "{err}");
    assert!(!err.contains('\x1b') && !err.contains('\r'), "{err:?}");

    assert_eq!(run(&["models", "path", MODEL, "--offline"]).1, out);
    let (ok, out, _) = run(&["models", "list", "--json"]);
    assert!(ok);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    let ours = list.as_array().unwrap().iter().find(|model| model["name"] == MODEL).unwrap();
    assert_eq!((&ours["cached"], &ours["commit"]), (&true.into(), &FIRST.into()));
    assert!(run(&["models", "info", MODEL]).1.contains("commercial use allowed"));

    assert!(run(&["models", "verify"]).0);
    let weights = folder.join(WEIGHTS);
    std::fs::write(std::fs::canonicalize(weights).unwrap(), "x").unwrap();
    let (ok, out, err) = run(&["models", "verify", MODEL]);
    assert!(!ok && out.contains(&format!("{WEIGHTS}: DAMAGED")), "{out}");
    assert!(err.contains("hint: Remove it"), "{err}");
    assert!(run(&["models", "remove", MODEL]).0);
    let (ok, _, err) = run(&["models", "path", MODEL]);
    assert!(!ok && err.contains("is not in the cache"), "{err}");
}

#[test]
fn the_command_asks_for_agreement_once_and_never_shows_the_token() {
    let place = Place::new();
    place.server.set_licence("cc-by-nc-4.0");
    let (ok, _, err) = output(&mut place.program(&["models", "download", "some/model"]));
    assert!(!ok && err.contains("--accept-license"), "{err}");
    let mut agreed = place.program(&["models", "download", "some/model"]);
    assert!(output(agreed.env("TARJIM_ACCEPT_LICENSE", "1")).0);

    place.server.require_token("hf_right");
    let args = ["models", "download", MODEL, "--token", "hf_wrong"];
    let (ok, out, err) = output(place.program(&args).env("RUST_LOG", "trace"));
    assert!(!ok && !out.contains("hf_wrong") && !err.contains("hf_wrong"), "{err}");
}

#[test]
fn a_proxy_is_used_and_its_refusal_is_named() {
    let place = Place::new();
    // The hub's address exists only behind the proxy; the test server answers 407 in its place.
    place.server.fail("HEAD", "config.json", Fault::Status(407, ""));
    let mut command = place.program(&["models", "download", MODEL]);
    command.env("HF_ENDPOINT", "http://hub.invalid").env("http_proxy", &place.server.url);
    let (ok, _, err) = output(&mut command);
    assert!(!ok && err.contains("the proxy refused to reach hub.invalid"), "{err}");
    // An https address is reached through a tunnel, which the test server does not open.
    let mut command = place.program(&["models", "download", MODEL]);
    command.env("HF_ENDPOINT", "https://hub.invalid").env("https_proxy", &place.server.url);
    let (ok, _, err) = output(&mut command);
    assert!(!ok && err.contains("the proxy refused to reach hub.invalid"), "{err}");
    place.assert_whole();
}

/// Downloads with Python's huggingface_hub from the same server, and reads the same cache from both
/// sides. `TARJIM_TEST_PYTHON` names the interpreter.
#[test]
#[allow(clippy::print_stderr)]
fn the_cache_is_shared_with_python() {
    let python = std::env::var("TARJIM_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import huggingface_hub"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no huggingface_hub (set TARJIM_TEST_PYTHON)");
        return;
    }
    let run = |place: &Place, offline: &str, code: &str| {
        let mut command = Command::new(&python);
        command
            .args(["-c", &format!("from huggingface_hub import *\nrepo = '{REPO}'\n{code}")])
            .env("HF_ENDPOINT", &place.server.url)
            .env("HF_HOME", place.folder.path().join("python"))
            .env("HF_HUB_CACHE", &place.settings.cache_dir)
            .env("HF_HUB_OFFLINE", offline)
            .env("HF_HUB_DISABLE_XET", "1")
            .env_remove("HF_TOKEN");
        let (ok, out, err) = output(&mut command);
        assert!(ok, "{err}");
        out
    };
    let names: Vec<String> =
        files("marian", 1).into_keys().filter(|name| name != "tf_model.h5").collect();

    // Python writes, we read, without a request.
    let place = Place::new();
    run(&place, "0", &format!("for f in {names:?}: hf_hub_download(repo, f)"));
    place.server.forget_log();
    place.assert_installs();
    assert!(place.server.log().is_empty());

    // We write, Python reads, without a request, and finds nothing odd in the cache.
    let place = Place::new();
    let ours = place.assert_installs();
    place.server.forget_log();
    let read = run(&place, "1", &format!("for f in {names:?}: print(hf_hub_download(repo, f))"));
    let expected: Vec<String> =
        names.iter().map(|name| ours.folder.join(name).display().to_string()).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
    assert!(place.server.log().is_empty());
    let scan = "c = scan_cache_dir()\nprint(len(c.repos), [str(w) for w in c.warnings], sorted(r.commit_hash for x in c.repos for r in x.revisions))";
    assert_eq!(run(&place, "1", scan).trim(), format!("1 [] ['{FIRST}']"));
}
