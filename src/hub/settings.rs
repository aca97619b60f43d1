//! Where the hub is, who asks, and where files are kept: environment first, then flags.
//!
//! hf-hub reads part of the environment itself, without `~` and without `HF_HUB_OFFLINE`. All of it
//! is resolved here instead, as Python's huggingface_hub does, and handed to hf-hub's builder.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The public hub.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// An access token. Never shown: [`Debug`](std::fmt::Debug) hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token in `text`, white space around it removed; none if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Token(text.to_string()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Everything that decides where a model comes from and where it goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the hub (`HF_ENDPOINT`).
    pub endpoint: String,
    /// Access token (`HF_TOKEN`, `HF_TOKEN_PATH`, `$HF_HOME/token`).
    pub token: Option<Token>,
    /// The cache shared with huggingface_hub (`HF_HUB_CACHE`, `$HF_HOME/hub`).
    pub cache_dir: PathBuf,
    /// Where accepted licences are recorded (`TARJIM_CONFIG_DIR`, `$XDG_CONFIG_HOME/tarjim`).
    pub config_dir: PathBuf,
    /// Where weights in eight bits are kept (`TARJIM_CACHE_DIR`, `$XDG_CACHE_HOME/tarjim`).
    pub prepared_dir: PathBuf,
    /// Never touch the network (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// Branch, tag or commit instead of the model's own.
    pub revision: Option<String>,
    /// Agree to a licence that forbids commercial use (`TARJIM_ACCEPT_LICENSE`).
    pub accept_licence: bool,
    /// Whether progress bars are wanted (`HF_HUB_DISABLE_PROGRESS_BARS`).
    pub progress_bars: bool,
    /// More certificate authorities, a PEM file (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`). The
    /// system's own, and `SSL_CERT_FILE`, are trusted anyway.
    pub ca_bundle: Option<PathBuf>,
    /// Longest time to open a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a server that is answering (`HF_HUB_DOWNLOAD_TIMEOUT`, seconds).
    pub read_timeout: Duration,
    /// Longest time another process may hold a lock without progress.
    pub lock_timeout: Duration,
    /// Attempts after the first that may fail in a row, with no byte gained between them.
    pub retries: u32,
    /// Wait before the first of them; each further one waits twice as long.
    pub retry_delay: Duration,
}

impl Settings {
    /// The settings of this process's environment.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// The settings of an environment given as a function from name to value.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
        let home = var("HOME").map(PathBuf::from).or_else(std::env::home_dir);
        let path = |name: &str| var(name).map(|value| expand_home(&value, home.as_deref()));
        let truthy = |name: &str| var(name).is_some_and(|value| is_true(&value));
        let seconds = |name: &str| {
            let value = var(name)?.trim().parse::<f64>().ok()?;
            Duration::try_from_secs_f64(value).ok().filter(|wait| !wait.is_zero())
        };

        let under_home =
            |tail: &str| home.as_deref().map_or_else(|| PathBuf::from(tail), |h| h.join(tail));
        let xdg_cache = path("XDG_CACHE_HOME").unwrap_or_else(|| under_home(".cache"));
        let hf_home = path("HF_HOME").unwrap_or_else(|| xdg_cache.join("huggingface"));
        let cache_dir = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .unwrap_or_else(|| hf_home.join("hub"));
        let config_dir = path("TARJIM_CONFIG_DIR").unwrap_or_else(|| {
            path("XDG_CONFIG_HOME")
                .or_else(|| path("APPDATA"))
                .unwrap_or_else(|| under_home(".config"))
                .join("tarjim")
        });

        let prepared_dir = path("TARJIM_CACHE_DIR").unwrap_or_else(|| xdg_cache.join("tarjim"));

        // A token named outright counts even where implicit ones are disabled; so does `--token`.
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"));
        let token = if truthy("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            var("HF_TOKEN")
                .or_else(|| var("HUGGING_FACE_HUB_TOKEN"))
                .or_else(|| std::fs::read_to_string(token_file).ok())
                .and_then(|text| Token::new(&text))
        };

        Settings {
            endpoint: var("HF_ENDPOINT")
                .map(|url| url.trim().trim_end_matches('/').to_string())
                .unwrap_or_else(|| DEFAULT_ENDPOINT.into()),
            token,
            cache_dir,
            config_dir,
            prepared_dir,
            offline: truthy("HF_HUB_OFFLINE") || truthy("TRANSFORMERS_OFFLINE"),
            revision: None,
            accept_licence: truthy("TARJIM_ACCEPT_LICENSE"),
            progress_bars: !truthy("HF_HUB_DISABLE_PROGRESS_BARS"),
            ca_bundle: path("REQUESTS_CA_BUNDLE").or_else(|| path("CURL_CA_BUNDLE")),
            connect_timeout: Duration::from_secs(10),
            read_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT").unwrap_or(Duration::from_secs(30)),
            lock_timeout: Duration::from_secs(120),
            retries: 4,
            retry_delay: Duration::from_millis(500),
        }
    }
}

/// huggingface_hub's notion of true.
fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// `~` and `~/…` under the home folder; everything else as it is.
pub(super) fn expand_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(vars: &[(&str, &str)]) -> Settings {
        let mut vars = vars.to_vec();
        vars.push(("HOME", "/home/reader"));
        Settings::from_vars(|name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string())
        })
    }

    #[test]
    fn cache_folder_follows_the_documented_order() {
        let cache = |vars: &[(&str, &str)]| with(vars).cache_dir;
        assert_eq!(cache(&[]), Path::new("/home/reader/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(
            cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "~/hf")]),
            Path::new("/home/reader/hf/hub")
        );
        assert_eq!(
            cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "~/models")]),
            Path::new("/home/reader/models")
        );
        assert_eq!(cache(&[("HF_HOME", "")]), Path::new("/home/reader/.cache/huggingface/hub"));
    }

    #[test]
    fn switches_read_as_in_python() {
        for (value, offline) in
            [("1", true), ("yes", true), ("True", true), ("0", false), ("", false)]
        {
            assert_eq!(with(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value:?}");
        }
        assert!(!with(&[("HF_HUB_DISABLE_PROGRESS_BARS", "on")]).progress_bars);
        assert!(with(&[("TARJIM_ACCEPT_LICENSE", "1")]).accept_licence);
        assert_eq!(with(&[("HF_ENDPOINT", "http://mirror/hub/")]).endpoint, "http://mirror/hub");
        let timeout = |value: &str| with(&[("HF_HUB_DOWNLOAD_TIMEOUT", value)]).read_timeout;
        assert_eq!(timeout("2.5"), Duration::from_millis(2500));
        for nonsense in ["", "-1", "nan", "1e300", "0"] {
            assert_eq!(timeout(nonsense), Duration::from_secs(30), "{nonsense:?}");
        }
    }

    #[test]
    fn token_comes_from_variable_then_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "hf_from_file\n").unwrap();
        let token = |vars: &[(&str, &str)]| with(vars).token.map(|t| t.reveal().to_string());
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_from_file"));
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]).as_deref(),
            Some("hf_variable")
        );
        assert_eq!(token(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        let shown = format!("{:?}", with(&[("HF_TOKEN", "hf_variable")]));
        assert!(shown.contains("hidden") && !shown.contains("hf_variable"), "{shown}");
    }
}
