//! The conversation with the hub: what a file is (HEAD), its bytes (GET), a repository's licence.
//!
//! hf-hub asks, through the HTTP client made here, which has the timeouts that its own lacks. One
//! request is sent by this file itself, with a twin of that client that follows no redirect: the
//! HEAD that tells the checksum. The hub answers for a large file with a redirect to its storage,
//! and the checksum, size and commit are in the headers of that redirect. hf-hub's public
//! `get_file_metadata` follows it and loses them, and the method that does not is private.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use hf_hub::{HFClient, HFError};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use super::cache::is_commit;
use super::error::HubError;
use super::settings::{Settings, Token};
use super::verify::Checksum;

/// Redirects followed for one HEAD.
const MAX_REDIRECTS: usize = 10;

/// Longest wait that a server's `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What rustls says when it refuses.
const TLS_WORDS: &[&str] =
    &["certificate", "tls", "handshake", "invalid peer", "corrupt message", "fatal alert"];

/// A file as the server describes it.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    /// Path in the repository.
    pub(super) name: String,
    /// The commit it was read at.
    pub(super) commit: String,
    /// What its bytes must give.
    pub(super) checksum: Checksum,
    /// Its length in bytes, where told.
    pub(super) size: Option<u64>,
}

/// How a GET ended, if it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The body ended where the server said it would.
    Ended,
    /// The server would send the whole file instead of its rest; nothing was read.
    NoRange,
}

/// The hub.
pub(super) struct Remote {
    // Taken only when dropped.
    runtime: Option<tokio::runtime::Runtime>,
    head: reqwest::Client,
    hub: HFClient,
    endpoint: Url,
    host: String,
    token: Option<Token>,
    read_timeout: Duration,
}

impl Remote {
    pub(super) fn new(settings: &Settings) -> Result<Self, HubError> {
        let endpoint = Url::parse(&settings.endpoint)
            .map_err(|e| HubError::Client(format!("{} as HF_ENDPOINT: {e}", settings.endpoint)))?;
        let host = host_of(&endpoint);
        let client = |e: reqwest::Error| HubError::Client(chain(&e));
        let hub = HFClient::builder()
            .client(http(settings)?.build().map_err(client)?)
            .endpoint(settings.endpoint.as_str())
            .cache_dir(&settings.cache_dir)
            // Without a token hf-hub would look one up on its own. A line break cannot be sent in a
            // header, so with this one it sends none.
            .token(settings.token.as_ref().map_or("\n", Token::reveal))
            // Retries are made in download.rs, which knows what was gained in between.
            .retry_max_attempts(0)
            .build()
            .map_err(|e| HubError::Client(e.to_string()))?;
        let head = http(settings)?.redirect(reqwest::redirect::Policy::none()).build();
        Ok(Remote {
            runtime: Some(
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|e| HubError::Client(e.to_string()))?,
            ),
            head: head.map_err(client)?,
            hub,
            endpoint,
            host,
            token: settings.token.clone(),
            read_timeout: settings.read_timeout,
        })
    }

    /// Asks what `file` is at `revision`.
    pub(super) fn metadata(
        &self,
        repo: &str,
        revision: &str,
        file: &str,
    ) -> Result<RemoteFile, HubError> {
        self.block_on(self.metadata_inner(repo, revision, file))
    }

    async fn metadata_inner(
        &self,
        repo: &str,
        revision: &str,
        file: &str,
    ) -> Result<RemoteFile, HubError> {
        let mut url = self.resolve_url(repo, revision, file)?;
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.head.head(url.clone());
            if let Some(token) = &self.token
                && url.origin() == self.endpoint.origin()
            {
                request = request.bearer_auth(token.reveal());
            }
            let response = request.send().await.map_err(|e| self.transport(&e, &url, file))?;
            let (status, headers) = (response.status(), response.headers());
            if !status.is_success() && !status.is_redirection() {
                let subject = Subject { repo, revision, file };
                return Err(self.status(status, Details::of(headers), &subject));
            }
            let next =
                header(headers, LOCATION.as_str()).and_then(|to| Some((url.join(to).ok()?, to)));
            // A redirect within the hub (a renamed repository) says nothing of the file itself.
            let elsewhere = !status.is_redirection()
                || next
                    .as_ref()
                    .is_some_and(|(_, to)| Url::parse(to).is_ok() || to.starts_with("//"));
            if elsewhere && let Some(commit) = header(headers, "x-repo-commit") {
                if is_commit(revision) && !commit.eq_ignore_ascii_case(revision) {
                    return Err(self.bad_response(format!("{file} is of another commit")));
                }
                return self.describe(file, commit, headers, status.is_redirection());
            }
            match next {
                Some((next, _)) if status.is_redirection() => url = next,
                _ => return Err(self.bad_response(format!("no X-Repo-Commit header for {file}"))),
            }
        }
        Err(self.bad_response(format!("more than {MAX_REDIRECTS} redirects for {file}")))
    }

    fn describe(
        &self,
        file: &str,
        commit: &str,
        headers: &HeaderMap,
        redirected: bool,
    ) -> Result<RemoteFile, HubError> {
        if !is_commit(commit) {
            return Err(self.bad_response(format!("X-Repo-Commit is no commit for {file}")));
        }
        let checksum = header(headers, "x-linked-etag")
            .or_else(|| header(headers, "etag"))
            .and_then(Checksum::parse)
            .ok_or_else(|| self.bad_response(format!("the ETag of {file} is no checksum")))?;
        // The length of a redirect is that of its own body.
        let length = header(headers, "content-length").filter(|_| !redirected);
        let size = header(headers, "x-linked-size").or(length).and_then(|n| n.parse().ok());
        Ok(RemoteFile { name: file.into(), commit: commit.to_lowercase(), checksum, size })
    }

    /// Reads `file` from byte `from` on, handing every piece to `sink`, whose error ends it.
    pub(super) fn fetch(
        &self,
        repo: &str,
        file: &RemoteFile,
        from: u64,
        sink: &mut (dyn FnMut(&[u8]) -> Result<(), HubError> + Send),
    ) -> Result<Fetched, HubError> {
        let (owner, name) = hf_hub::split_id(repo);
        let subject = Subject { repo, revision: &file.commit, file: &file.name };
        let fail = |e: HFError| self.sort(e, &subject);
        self.block_on(async {
            let range = file.size.filter(|_| from > 0).map(|size| from..size);
            let rest = file.size.map(|size| size.saturating_sub(from));
            let (length, mut stream) = self
                .hub
                .model(owner, name)
                .download_file_stream()
                .filename(file.name.as_str())
                .revision(file.commit.as_str())
                .maybe_range(range)
                .send()
                .await
                .map_err(fail)?;
            match (length, rest) {
                (Some(length), Some(rest)) if length != rest && from > 0 => {
                    return Ok(Fetched::NoRange);
                }
                (Some(length), Some(rest)) if length != rest => {
                    let file = file.name.clone();
                    return Err(HubError::WrongSize { file, expected: rest, found: length });
                }
                _ => {}
            }
            while let Some(piece) = stream.next().await {
                sink(&piece.map_err(fail)?)?;
            }
            Ok(Fetched::Ended)
        })
    }

    /// The licence that a repository declares; none where it declares none, or where the server
    /// keeps files but no such page.
    pub(super) fn licence(&self, repo: &str, revision: &str) -> Result<Option<String>, HubError> {
        let (owner, name) = hf_hub::split_id(repo);
        let subject = Subject { repo, revision, file: "" };
        let info = self.block_on(self.hub.model(owner, name).info().revision(revision).send());
        let info = match info {
            Ok(info) => info,
            // A 404 without the hub's own code comes from a mirror that serves files only.
            Err(HFError::RevisionNotFound { context: Some(context), .. })
                if context.error_code.is_none() =>
            {
                return Ok(None);
            }
            Err(HFError::Json(_)) => return Ok(None),
            Err(HFError::Request { source, .. }) if source.is_decode() => return Ok(None),
            Err(error) => return Err(self.sort(error, &subject)),
        };
        let card = info.card_data.as_ref().and_then(|card| card.get("license"));
        let tag = || info.tags.iter().flatten().find_map(|tag| tag.strip_prefix("license:"));
        Ok(card.and_then(|licence| licence.as_str()).or_else(tag).map(str::to_string))
    }

    fn resolve_url(&self, repo: &str, revision: &str, file: &str) -> Result<Url, HubError> {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| self.bad_response("HF_ENDPOINT is no http address".into()))?
            .pop_if_empty()
            .extend(repo.split('/'))
            // One segment: the slashes of `refs/pr/7` are escaped.
            .extend(["resolve", revision])
            .extend(file.split('/'));
        Ok(url)
    }

    /// Runs a future to its end on a thread of its own: a caller that is itself asynchronous may
    /// not block its thread on another runtime.
    fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        let runtime = self.runtime.as_ref().expect("is taken only when dropped");
        std::thread::scope(|scope| {
            let done = scope.spawn(|| runtime.block_on(future)).join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sorts an error of hf-hub into ours.
    fn sort(&self, error: HFError, subject: &Subject<'_>) -> HubError {
        match error {
            HFError::Request { source, url } => {
                let url = url.and_then(|u| Url::parse(&u).ok());
                self.transport(&source, url.as_ref().unwrap_or(&self.endpoint), subject.file)
            }
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => {
                let code = context.error_code.as_deref();
                self.status(context.status, Details { code, retry_after: None }, subject)
            }
            HFError::RateLimited { retry_after, .. } => {
                HubError::RateLimited { host: self.host.clone(), retry_after }
            }
            HFError::Xet { source, .. } => HubError::Interrupted {
                file: subject.file.to_string(),
                detail: self.scrub(&source.to_string()),
            },
            other => self.bad_response(self.scrub(&other.to_string())),
        }
    }

    /// Sorts an HTTP status into ours. The hub's `X-Error-Code` is more exact than the status: it
    /// answers 401 for a repository that does not exist.
    fn status(&self, status: StatusCode, details: Details<'_>, subject: &Subject<'_>) -> HubError {
        let host = self.host.clone();
        let (repo, revision) = (subject.repo.to_string(), subject.revision.to_string());
        match (status.as_u16(), details.code) {
            (_, Some("GatedRepo")) => HubError::Gated { repo },
            (_, Some("RepoNotFound")) => HubError::RepoNotFound { host, repo },
            (_, Some("RevisionNotFound")) => HubError::RevisionNotFound { repo, revision },
            (401, _) => HubError::Unauthorized { host, repo },
            (403, _) => HubError::Forbidden { host, repo },
            (404, _) => HubError::FileNotFound { repo, revision, file: subject.file.to_string() },
            (407, _) => {
                HubError::Proxy { host, detail: "it wants a user name and password".into() }
            }
            (429, _) => HubError::RateLimited { host, retry_after: details.retry_after },
            (408, _) => HubError::Timeout { host, waited: self.read_timeout },
            (status @ 500.., _) => HubError::Server { host, status },
            (status, _) => self.bad_response(format!("HTTP {status}")),
        }
    }

    /// Sorts a failure below HTTP into ours.
    fn transport(&self, error: &reqwest::Error, url: &Url, file: &str) -> HubError {
        let host = host_of(url);
        let detail = self.scrub(&chain(error));
        // The causes alone: the error itself begins with the address, and a repository may be named
        // after anything.
        let told = error.source().map(chain).unwrap_or_default().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
        if error.is_dns() || says(&["dns error", "failed to lookup address"]) {
            HubError::Dns { host }
        } else if error.is_connect() && says(&["tunnel", "proxy"]) {
            HubError::Proxy { host, detail }
        } else if error.is_connect() && says(TLS_WORDS) {
            HubError::Tls { host, detail }
        } else if error.is_timeout() && !error.is_connect() {
            HubError::Timeout { host, waited: self.read_timeout }
        } else if error.is_connect() {
            HubError::Unreachable { host, detail }
        } else if error.is_redirect() {
            self.bad_response(detail)
        } else {
            HubError::Interrupted { file: file.to_string(), detail }
        }
    }

    fn bad_response(&self, detail: String) -> HubError {
        HubError::BadResponse { host: self.host.clone(), detail }
    }

    fn scrub(&self, text: &str) -> String {
        scrub(text, self.token.as_ref())
    }
}

impl Drop for Remote {
    /// A runtime may not be dropped the ordinary way by an asynchronous caller.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a request was about.
struct Subject<'a> {
    repo: &'a str,
    revision: &'a str,
    file: &'a str,
}

/// What headers add to a status.
struct Details<'a> {
    code: Option<&'a str>,
    retry_after: Option<Duration>,
}

impl<'a> Details<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let seconds = header(headers, RETRY_AFTER.as_str()).and_then(|n| n.trim().parse().ok());
        Details {
            code: header(headers, "x-error-code"),
            retry_after: seconds.map(|n| Duration::from_secs(n).min(MAX_RETRY_AFTER)),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An HTTP client with timeouts, the reader's certificates, and bodies as they are: a compressed
/// one would have another length than the file.
fn http(settings: &Settings) -> Result<reqwest::ClientBuilder, HubError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tarjim/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd();
    if let Some(path) = &settings.ca_bundle {
        let pem = std::fs::read(path).map_err(HubError::io(path))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| HubError::Client(format!("{}: {}", path.display(), chain(&e))))?;
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the hub");
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

/// An error and its causes in one line, without repetition.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// `text` without the token, and without the queries of addresses: those of the hub's storage are
/// signed and open the file to anyone.
fn scrub(text: &str, token: Option<&Token>) -> String {
    let text = match token {
        Some(token) => text.replace(token.reveal(), "(hidden)"),
        None => text.to_string(),
    };
    let mut clean = String::with_capacity(text.len());
    for word in text.split_inclusive([' ', '\n', ')']) {
        match word.find('?').filter(|_| word.contains("://")) {
            Some(query) => {
                clean.push_str(&word[..query]);
                clean.push_str("?…");
                clean.extend(word.chars().last().filter(|c| " \n)".contains(*c)));
            }
            None => clean.push_str(word),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_survive_in_messages() {
        let token = Token::new("hf_secret");
        assert_eq!(
            scrub("error for url (https://cdn/x?Signature=abc) with hf_secret", token.as_ref()),
            "error for url (https://cdn/x?…) with (hidden)"
        );
        assert_eq!(scrub("what? nothing", token.as_ref()), "what? nothing");
    }
}
