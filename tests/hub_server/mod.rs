//! A model hub on loopback, for tests: it serves repositories with the headers of the real one and
//! misbehaves on request.
//!
//! Two ports, as on the real hub: one resolves names, the other stores large files and knows nothing
//! of repositories. A small file is answered after a redirect within the hub, a large one with a
//! redirect to the storage.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// From this size on a file is kept in the storage.
const LARGE: usize = 1000;

/// What to do wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Close the connection after so many bytes of the body.
    Cut(usize),
    /// Send nothing more after so many bytes of the body.
    Stall(usize),
    /// Announce so many bytes more (or fewer) than the body has.
    Lie(i64),
    /// A page instead of the file.
    Page(u16),
    /// A status, an `X-Error-Code` and a `Retry-After`.
    Status(u16, &'static str),
    /// One bit of the body differs.
    FlipBit,
    /// Send the whole file whatever range is asked for.
    NoRange,
    /// Send the body in so many pieces, with a pause after each.
    Slow(usize, Duration),
    /// Announce this size in `X-Linked-Size`.
    Announce(u64),
    /// Move the branch `main` to this commit, then answer as usual.
    MoveMain(&'static str),
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    pub to_storage: bool,
}

#[derive(Default)]
struct State {
    refs: HashMap<String, String>,
    commits: HashMap<String, BTreeMap<String, Vec<u8>>>,
    licence: Option<String>,
    /// Method, end of the path, and what to do wrong, each used once; on the storage, the path is
    /// that of the file it belongs to.
    faults: Vec<(&'static str, String, Fault)>,
    token: Option<String>,
    log: Vec<Request>,
}

/// The server; it ends with the test process.
#[derive(Clone)]
pub struct Server {
    pub url: String,
    storage: String,
    state: Arc<Mutex<State>>,
}

pub const REPO: &str = "Helsinki-NLP/opus-mt-ar-en";
pub const FIRST: &str = "1111111111111111111111111111111111111111";
pub const SECOND: &str = "2222222222222222222222222222222222222222";
pub const WEIGHTS: &str = "pytorch_model.bin";

/// The files of a small checkpoint, `seed` telling one from another.
pub fn files(model_type: &str, seed: u8) -> BTreeMap<String, Vec<u8>> {
    let weights = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed);
    BTreeMap::from([
        (
            "config.json".into(),
            format!("{{\"model_type\": \"{model_type}\", \"seed\": {seed}}}").into(),
        ),
        ("generation_config.json".into(), b"{}".to_vec()),
        ("tokenizer_config.json".into(), b"{\"source_lang\": \"ar\"}".to_vec()),
        ("source.spm".into(), vec![seed; 5000]),
        ("target.spm".into(), vec![seed ^ 255; 4000]),
        ("vocab.json".into(), b"{\"</s>\": 0}".to_vec()),
        (WEIGHTS.into(), weights.collect()),
        ("tf_model.h5".into(), b"never needed".to_vec()),
    ])
}

impl Server {
    /// A hub with one Marian checkpoint at `main`.
    pub fn start() -> Self {
        let resolver = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |l: &TcpListener| format!("http://{}", l.local_addr().unwrap());
        let server =
            Server { url: address(&resolver), storage: address(&storage), state: Arc::default() };
        server.commit(FIRST, files("marian", 1));
        server.set_ref("main", FIRST);
        for (listener, to_storage) in [(resolver, false), (storage, true)] {
            let server = server.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    thread::spawn(move || server.converse(stream, to_storage));
                }
            });
        }
        server
    }

    pub fn commit(&self, commit: &str, files: BTreeMap<String, Vec<u8>>) {
        self.state.lock().unwrap().commits.insert(commit.into(), files);
    }

    pub fn set_ref(&self, name: &str, commit: &str) {
        self.state.lock().unwrap().refs.insert(name.into(), commit.into());
    }

    pub fn set_licence(&self, id: &str) {
        self.state.lock().unwrap().licence = Some(id.into());
    }

    /// From now on only requests with this token are answered.
    pub fn require_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.into());
    }

    /// The next request of `method` for a file whose path ends in `file` meets this fault.
    pub fn fail(&self, method: &'static str, file: &str, fault: Fault) {
        self.state.lock().unwrap().faults.push((method, file.into(), fault));
    }

    pub fn log(&self) -> Vec<Request> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn forget_log(&self) {
        self.state.lock().unwrap().log.clear();
    }

    /// The ranges of the GETs that reached the bytes of `file` on the storage.
    pub fn reads(&self, file: &str) -> Vec<Option<String>> {
        let read = |r: &Request| {
            r.method == "GET" && r.to_storage && r.path.contains(&format!("/{file}?"))
        };
        self.log().into_iter().filter(read).map(|r| r.range).collect()
    }

    /// The same hub at an https address, with a certificate of the authority in `tls/ca.pem`.
    pub fn start_tls(&self) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, config) = (server.clone(), config.clone());
                thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(config).unwrap();
                    server.converse(rustls::StreamOwned::new(connection, stream), false);
                });
            }
        });
        url
    }

    /// Answers one request after another; dropping the stream closes it.
    fn converse(&self, mut stream: impl Read + Write, to_storage: bool) {
        while let Some(request) = read_request(&mut stream, to_storage) {
            self.state.lock().unwrap().log.push(request.clone());
            let answered = if to_storage {
                self.serve_storage(&request, &mut stream)
            } else {
                self.serve_hub(&request, &mut stream)
            };
            if answered.is_none() || stream.flush().is_err() {
                return;
            }
        }
    }

    fn fault(&self, method: &str, path: &str, here: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let faults = &mut self.state.lock().unwrap().faults;
        let at =
            faults.iter().position(|(m, end, f)| *m == method && path.ends_with(end) && here(f));
        at.map(|at| faults.remove(at).2)
    }

    fn serve_hub(&self, request: &Request, out: &mut impl Write) -> Option<()> {
        if let Some(token) = &self.state.lock().unwrap().token
            && request.authorization.as_deref() != Some(&format!("Bearer {token}"))
        {
            return head(out, 401, &[("X-Error-Code", "GatedRepo".into())], 0);
        }
        if request.path.contains("/nobody/") {
            return head(out, 401, &[("X-Error-Code", "RepoNotFound".into())], 0);
        }
        if request.path.starts_with("/api/models/mirror/") {
            return head(out, 404, &[], 0);
        }
        if request.path.starts_with("/api/models/") {
            let licence = self.state.lock().unwrap().licence.clone();
            let card = licence.map_or("null".into(), |id| format!("{{\"license\": \"{id}\"}}"));
            let body = format!("{{\"id\": \"{REPO}\", \"cardData\": {card}}}");
            head(out, 200, &[("Content-Type", "application/json".into())], body.len() as i64)?;
            return out.write_all(body.as_bytes()).ok();
        }
        // A small file is answered at a second address of the hub itself.
        let path = request.path.strip_prefix("/cached").unwrap_or(&request.path);
        let redirected = path.len() < request.path.len();
        let (_, rest) = path.split_once("/resolve/")?;
        let (revision, file) = rest.split_once('/')?;
        let revision = revision.replace("%2F", "/");
        let direct =
            |f: &Fault| matches!(f, Fault::Status(..) | Fault::MoveMain(_) | Fault::Announce(_));
        let mut announced = None;
        match self.fault(&request.method, file, direct) {
            Some(Fault::Status(status, code)) => {
                let headers = [("X-Error-Code", code.into()), ("Retry-After", "0".into())];
                return head(out, status, &headers, 0);
            }
            Some(Fault::Announce(size)) => announced = Some(size),
            Some(Fault::MoveMain(commit)) => self.set_ref("main", commit),
            _ => {}
        }
        let (commit, body) = {
            let state = self.state.lock().unwrap();
            let commit = state.refs.get(&revision).cloned().unwrap_or_else(|| revision.clone());
            match state.commits.get(&commit) {
                None => return head(out, 404, &[("X-Error-Code", "RevisionNotFound".into())], 0),
                Some(files) => (commit.clone(), files.get(file).cloned()),
            }
        };
        let Some(body) = body else {
            let headers = [("X-Error-Code", "EntryNotFound".into()), ("X-Repo-Commit", commit)];
            return head(out, 404, &headers, 0);
        };
        if body.len() >= LARGE {
            let digest = hex(Sha256::digest(&body));
            let headers = [
                ("Location", format!("{}/{commit}/{file}?Signature=s3cr3t", self.storage)),
                ("X-Repo-Commit", commit),
                ("X-Linked-Etag", format!("\"{digest}\"")),
                ("X-Linked-Size", announced.unwrap_or(body.len() as u64).to_string()),
                ("ETag", "\"of-the-redirect\"".into()),
            ];
            return head(out, 302, &headers, 0);
        }
        if !redirected {
            return head(out, 307, &[("Location", format!("/cached{path}"))], 0);
        }
        let mut hasher = Sha1::new();
        hasher.update(format!("blob {}\0", body.len()));
        hasher.update(&body);
        let etag = format!("\"{}\"", hex(hasher.finalize()));
        self.send(request, file, &[("X-Repo-Commit", commit), ("ETag", etag)], &body, out)
    }

    fn serve_storage(&self, request: &Request, out: &mut impl Write) -> Option<()> {
        let path = request.path.split('?').next()?;
        let (commit, file) = path.trim_start_matches('/').split_once('/')?;
        let body = self.state.lock().unwrap().commits.get(commit)?.get(file)?.clone();
        self.send(request, file, &[("ETag", "\"not-a-checksum-5\"".into())], &body, out)
    }

    /// Sends a body, whole or the range asked for, and does wrong what it is told to.
    fn send(
        &self,
        request: &Request,
        file: &str,
        headers: &[(&str, String)],
        body: &[u8],
        out: &mut impl Write,
    ) -> Option<()> {
        let of_body = |f: &Fault| !matches!(f, Fault::Status(..) | Fault::MoveMain(_));
        let fault = self.fault(&request.method, file, of_body);
        let range = request.range.as_deref().and_then(|range| {
            let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
        });
        let (status, mut body) = match range {
            Some((from, to)) if !matches!(fault, Some(Fault::NoRange)) => {
                (206, body.get(from..=to)?.to_vec())
            }
            _ => (200, body.to_vec()),
        };
        let mut length = body.len() as i64;
        match fault {
            Some(Fault::Page(status)) => {
                let page = b"<html>Please log in</html>";
                head(out, status, &[("Content-Type", "text/html".into())], page.len() as i64)?;
                return out.write_all(page).ok();
            }
            Some(Fault::FlipBit) => body[length as usize / 2] ^= 1,
            Some(Fault::Lie(by)) => length += by,
            _ => {}
        }
        head(out, status, headers, length)?;
        if request.method == "HEAD" {
            return Some(());
        }
        match fault {
            Some(Fault::Cut(at)) => {
                out.write_all(&body[..at]).ok()?;
                None
            }
            Some(Fault::Stall(at)) => {
                out.write_all(&body[..at]).ok()?;
                thread::sleep(Duration::from_secs(5));
                None
            }
            Some(Fault::Slow(pieces, pause)) => {
                for piece in body.chunks(body.len().div_ceil(pieces)) {
                    out.write_all(piece).ok()?;
                    thread::sleep(pause);
                }
                Some(())
            }
            Some(Fault::Lie(_)) => {
                out.write_all(&body).ok()?;
                None
            }
            _ => out.write_all(&body).ok(),
        }
    }
}

fn head(out: &mut impl Write, status: u16, headers: &[(&str, String)], length: i64) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    out.write_all(format!("{text}\r\n").as_bytes()).ok()
}

fn read_request(stream: &mut (impl Read + Write), to_storage: bool) -> Option<Request> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        text.push(byte[0]);
        // The greeting of TLS, answered as real servers do.
        if !text[0].is_ascii_uppercase() {
            head(stream, 400, &[], 0);
            return None;
        }
    }
    let text = String::from_utf8(text).ok()?;
    let mut lines = text.lines();
    let mut words = lines.next()?.split_whitespace();
    let (method, path) = (words.next()?.into(), words.next()?.into());
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_string())
    };
    let (range, authorization) = (header("range"), header("authorization"));
    Some(Request { method, path, range, authorization, to_storage })
}

/// Lower-case hexadecimal.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
