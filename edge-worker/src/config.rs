//! The Worker's settings: read once, checked at once, every mistake named in one error.

use std::{fmt, sync::OnceLock, time::Duration};

use operations::messages::{Format, SigningKey};
use session_core::{
    due::{LONGEST_INTERVAL, SHORTEST_INTERVAL},
    method::RefreshMethod,
    secret::Secret,
    token::Fingerprint,
};
use url::Url;
use worker::{Env, js_sys, wasm_bindgen::JsValue};

/// Everything that can be set. `.dev.vars.example` explains each for users.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) refresh_url: Url,
    pub(crate) refresh_method: RefreshMethod,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) supabase_url: Url,
    pub(crate) supabase_key: SupabaseKey,
    pub(crate) jwt_secret: Option<Secret>,
    pub(crate) jwks_url: Option<Url>,
    pub(crate) jwt_issuer: String,
    pub(crate) internal_api_keys: Vec<Secret>,
    pub(crate) cron_enabled: bool,
    pub(crate) batch_size: u32,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// How long a user leaves a session alone between two attempts.
    pub(crate) manual_interval: Duration,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) subrequest_limit: u32,
    pub(crate) sessions_per_run: u32,
    pub(crate) history_days: u32,
    pub(crate) max_in_flight: u32,
    pub(crate) calls_per_second: u32,
    pub(crate) exhaust_after: u32,
    pub(crate) queue_enabled: bool,
    pub(crate) max_consumers: u32,
    /// Single attempts that are kept at the most.
    pub(crate) attempts_kept: u64,
    /// Who is told of alerts.
    pub(crate) alerts: Option<Receiver>,
    /// Who is told of sessions' events.
    pub(crate) events: Option<Receiver>,
    /// An alert that is on is told again after so long.
    pub(crate) alert_repeat: Duration,
    /// The share of attempts that may fail without an alert.
    pub(crate) alert_failure_share: f64,
    /// Who notices when no tick comes any more.
    pub(crate) ping_url: Option<Url>,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) url: Url,
    pub(crate) format: Format,
    /// What messages are signed with; chats want none.
    pub(crate) key: Option<SigningKey>,
}

impl Config {
    /// Upstream as the database knows it: what is learnt of one host says nothing of another.
    pub(crate) fn upstream(&self) -> &str {
        self.refresh_url.authority()
    }

    /// Whether Cloudflare's free plan bounds an invocation.
    pub(crate) const fn is_on_free_plan(&self) -> bool {
        self.subrequest_limit <= FREE_PLAN_SUBREQUESTS
    }
}

/// The service role's key. The two forms are sent differently.
#[derive(Debug)]
pub(crate) enum SupabaseKey {
    /// A legacy key, `eyJ…`: sent in `apikey` and `Authorization`.
    Jwt(Secret),
    /// A new key, `sb_secret_…`: sent in `apikey` only.
    Opaque(Secret),
}

/// Everything wrong with the settings. Names settings, never their values.
#[derive(Clone, Debug)]
pub(crate) struct ConfigError {
    mistakes: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong: {}", self.mistakes.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// How the Worker names itself to whoever is not aimharder.
pub(crate) const OWN_NAME: &str = concat!("aimharder-keepalive/", env!("CARGO_PKG_VERSION"));

/// Cloudflare's free plan allows an invocation so many fetches.
const FREE_PLAN_SUBREQUESTS: u32 = 50;

/// And 10 ms of processor time: a session takes some 0.75 ms of it (docs/SCALE.md).
const FREE_PLAN_SESSIONS: u32 = 12;

static CONFIG: OnceLock<Result<Config, ConfigError>> = OnceLock::new();

/// The settings of this isolate, whose environment never changes.
pub(crate) fn config(env: &Env) -> Result<&'static Config, ConfigError> {
    CONFIG
        .get_or_init(|| build(|name| text_of(env, name)))
        .as_ref()
        .map_err(Clone::clone)
}

/// Where alerts go, as far as that can be told whatever else is wrong with the settings.
pub(crate) fn alert_receiver(env: &Env) -> Option<Receiver> {
    let mut reader = Reader {
        lookup: |name: &str| text_of(env, name),
        mistakes: Vec::new(),
    };
    reader.receivers().0
}

/// A variable's text, maybe empty; numbers and booleans of a TOML file are as good as their text.
fn text_of(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env, &JsValue::from(name)).ok()?;
    let plain = value.as_f64().is_some() || value.as_bool().is_some();
    let text = value
        .as_string()
        .or_else(|| plain.then(|| String::from(js_sys::JsString::from(value))));
    text.map(|text| text.trim().to_owned())
}

fn build(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let mut reader = Reader {
        lookup,
        mistakes: Vec::new(),
    };
    let read = (
        reader.url("AIMHARDER_REFRESH_URL", Some("https://aimharder.com/setrefresh")),
        reader.fingerprint("AIMHARDER_FINGERPRINT"),
        reader.url("SUPABASE_URL", None),
        reader.supabase_key("SUPABASE_SERVICE_ROLE_KEY"),
        reader.secret("INTERNAL_API_KEY", 16),
    );
    let (jwt_secret, jwks_url) = reader.token_keys();
    let jwt_issuer = reader.issuer("JWT_ISSUER", read.2.as_ref());
    let refresh_method = reader.refresh_method("REFRESH_METHOD");
    let previous_key = reader.optional_secret("INTERNAL_API_KEY_PREVIOUS", 16);
    let cron_enabled = reader.flag("REFRESH_CRON_ENABLED", true);
    let batch_size = reader.number("REFRESH_BATCH_SIZE", 10, 1, 1_000);
    let minutes = |duration: Duration| u32::try_from(duration.as_secs() / 60).unwrap_or(u32::MAX);
    let (shortest, longest) = (minutes(SHORTEST_INTERVAL), minutes(LONGEST_INTERVAL));
    let interval = reader.number("REFRESH_INTERVAL_MINUTES", 20, shortest, longest);
    let timeout = reader.number("REFRESH_TIMEOUT_SECONDS", 10, 1, 20);
    let manual_interval = reader.number("REFRESH_MANUAL_INTERVAL_SECONDS", 30, 5, 3_600);
    let allowed_origins = reader.origins("ALLOWED_ORIGINS");
    let subrequest_limit = reader.number("SUBREQUEST_LIMIT", 50, 20, 10_000);
    let on_free_plan = subrequest_limit <= FREE_PLAN_SUBREQUESTS;
    let usual = if on_free_plan { FREE_PLAN_SESSIONS } else { 10_000 };
    let sessions_per_run = reader.number("REFRESH_SESSIONS_PER_RUN", usual, 1, 10_000);
    let history_days = reader.number("HISTORY_RETENTION_DAYS", 30, 1, 3_650);
    let max_in_flight = reader.number("UPSTREAM_MAX_IN_FLIGHT", 24, 1, 100_000);
    let calls_per_second = reader.number("UPSTREAM_CALLS_PER_SECOND", 20, 1, 100_000);
    let exhaust_after = reader.number("REFRESH_EXHAUST_AFTER", 10, 3, 1_000);
    let queue_enabled = reader.flag("REFRESH_QUEUE_ENABLED", true);
    let max_consumers = reader.number("REFRESH_MAX_CONSUMERS", 10, 1, 250);
    let attempts_kept = reader.number("HISTORY_ATTEMPTS_KEPT", 5_000_000, 1_000, 1_000_000_000);
    let (alerts, events) = reader.receivers();
    let alert_repeat = reader.number("ALERT_REPEAT_MINUTES", 60, 5, 10_080);
    let alert_failure_percent = reader.number("ALERT_FAILURE_PERCENT", 20, 1, 100);
    let ping_url = reader.optional_webhook("CRON_PING_URL");
    let mistakes = reader.mistakes;
    match read {
        (Some(refresh_url), Some(fingerprint), Some(supabase_url), Some(supabase_key), Some(key))
            if mistakes.is_empty() =>
        {
            Ok(Config {
                refresh_url,
                refresh_method,
                fingerprint,
                supabase_url,
                supabase_key,
                jwt_secret,
                jwks_url,
                jwt_issuer,
                internal_api_keys: std::iter::once(key).chain(previous_key).collect(),
                cron_enabled,
                batch_size,
                interval: Duration::from_secs(u64::from(interval).saturating_mul(60)),
                timeout: Duration::from_secs(timeout.into()),
                manual_interval: Duration::from_secs(manual_interval.into()),
                allowed_origins,
                subrequest_limit,
                sessions_per_run,
                history_days,
                max_in_flight,
                calls_per_second,
                exhaust_after,
                queue_enabled,
                max_consumers,
                attempts_kept: attempts_kept.into(),
                alerts,
                events,
                alert_repeat: Duration::from_secs(u64::from(alert_repeat).saturating_mul(60)),
                alert_failure_share: f64::from(alert_failure_percent) / 100.0,
                ping_url,
            })
        }
        _ => Err(ConfigError { mistakes }),
    }
}

/// Reads settings and gathers what is wrong with them.
struct Reader<L> {
    lookup: L,
    mistakes: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// What a variable says; one that says nothing is as good as none.
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            self.mistakes.push(format!("{name} is missing"));
        }
        text
    }

    fn checked<T>(&mut self, name: &str, must: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.mistakes.push(format!("{name} must be {must}"));
        }
        value
    }

    /// Secrets travel to these addresses: only https, except on this machine.
    fn url(&mut self, name: &str, default: Option<&str>) -> Option<Url> {
        let text = self
            .text(name)
            .or_else(|| default.map(str::to_owned))
            .or_else(|| self.required(name))?;
        let plain =
            |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let url = Url::parse(&text).ok().filter(|url| is_safe(url) && plain(url));
        self.checked(
            name,
            "an https address without user name, password or query (http only on this machine)",
            url,
        )
    }

    /// Where something is sent to, if anywhere. Chats' addresses are secrets, and may have a query.
    fn optional_webhook(&mut self, name: &str) -> Option<Url> {
        let text = self.text(name)?;
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        let url = Url::parse(&text).ok().filter(|url| is_safe(url) && plain(url));
        self.checked(
            name,
            "an https address without user name or password (http only on this machine)",
            url,
        )
    }

    /// Who is told of alerts, and who of sessions' events. What is no chat's format is signed.
    fn receivers(&mut self) -> (Option<Receiver>, Option<Receiver>) {
        let alerts = self.optional_webhook("ALERT_WEBHOOK_URL");
        let events = self.optional_webhook("EVENT_WEBHOOK_URL");
        let format = self.text("ALERT_WEBHOOK_FORMAT").map(|text| text.parse());
        let format = match format {
            None => alerts
                .as_ref()
                .map(|url| Format::of_host(url.host_str().unwrap_or_default())),
            Some(parsed) => self.checked("ALERT_WEBHOOK_FORMAT", "generic, slack or discord", parsed.ok()),
        };
        let key = self.text("WEBHOOK_SECRET").and_then(|text| {
            let must = "whsec_ and 24 to 64 random bytes in base64";
            self.checked("WEBHOOK_SECRET", must, SigningKey::parse(&text))
        });
        let signed = events.is_some() || (alerts.is_some() && format == Some(Format::Generic));
        if signed && (self.lookup)("WEBHOOK_SECRET").is_none_or(|text| text.is_empty()) {
            self.mistakes
                .push("WEBHOOK_SECRET is missing: what goes to your own webhooks is signed".to_owned());
        }
        let receiver = |url: Option<Url>, format: Option<Format>| {
            let (url, format) = (url?, format?);
            let key = key.clone().filter(|_| format == Format::Generic);
            (key.is_some() || format != Format::Generic).then_some(Receiver { url, format, key })
        };
        (receiver(alerts, format), receiver(events, Some(Format::Generic)))
    }

    fn fingerprint(&mut self, name: &str) -> Option<Fingerprint> {
        let text = self.required(name)?;
        self.checked(
            name,
            "1 to 50 printable ASCII characters",
            Fingerprint::parse(&text).ok(),
        )
    }

    fn refresh_method(&mut self, name: &str) -> RefreshMethod {
        let value = self
            .text(name)
            .map_or(Ok(RefreshMethod::default()), |text| text.parse());
        self.checked(name, "setrefresh or tokenUpdate", value.ok())
            .unwrap_or_default()
    }

    fn secret(&mut self, name: &str, shortest: usize) -> Option<Secret> {
        let text = self.required(name)?;
        let secret = (text.len() >= shortest).then(|| Secret::new(text));
        self.checked(name, &format!("at least {shortest} characters long"), secret)
    }

    /// One that may be missing, but not be empty: that would be somebody's mistake.
    fn optional_secret(&mut self, name: &str, shortest: usize) -> Option<Secret> {
        let text = (self.lookup)(name)?;
        let secret = (text.len() >= shortest).then(|| Secret::new(text));
        self.checked(
            name,
            &format!("at least {shortest} characters long, or not set"),
            secret,
        )
    }

    /// What users' tokens are checked with: a secret, a key set, or both while changing over.
    fn token_keys(&mut self) -> (Option<Secret>, Option<Url>) {
        let secret = self.optional_secret("SUPABASE_JWT_SECRET", 32);
        let has_set = self.text("JWKS_URL").is_some();
        let set = has_set.then(|| self.url("JWKS_URL", None)).flatten();
        if !has_set && (self.lookup)("SUPABASE_JWT_SECRET").is_none() {
            self.mistakes
                .push("SUPABASE_JWT_SECRET or JWKS_URL is missing".to_owned());
        }
        (secret, set)
    }

    /// Whose tokens count: Supabase Auth names itself by its own address.
    fn issuer(&self, name: &str, supabase: Option<&Url>) -> String {
        self.text(name).unwrap_or_else(|| {
            let base = supabase.map(Url::as_str).unwrap_or_default();
            format!("{}/auth/v1", base.trim_end_matches('/'))
        })
    }

    fn supabase_key(&mut self, name: &str) -> Option<SupabaseKey> {
        let text = self.required(name)?;
        let sendable = text.bytes().all(|b| b.is_ascii_graphic());
        let key = match text {
            _ if !sendable => None,
            text if text.starts_with("sb_secret_") => Some(SupabaseKey::Opaque(Secret::new(text))),
            text if text.starts_with("eyJ") => Some(SupabaseKey::Jwt(Secret::new(text))),
            _ => None,
        };
        self.checked(name, "a service role key (sb_secret_… or eyJ…)", key)
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        let value = match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Some(default),
            Some("true" | "1" | "yes" | "on") => Some(true),
            Some("false" | "0" | "no" | "off") => Some(false),
            Some(_) => None,
        };
        self.checked(name, "true or false", value).unwrap_or(default)
    }

    fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let value = match self.text(name) {
            None => Some(default),
            Some(text) => text.parse().ok().filter(|value| (least..=most).contains(value)),
        };
        self.checked(name, &format!("a whole number from {least} to {most}"), value)
            .unwrap_or(default)
    }

    fn origins(&mut self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let exact = |origin: &str| {
            Url::parse(origin).is_ok_and(|url| is_safe(&url) && url.origin().ascii_serialization() == origin)
        };
        let origins: Vec<String> = origins.map(str::to_owned).collect();
        let value = origins.iter().all(|origin| exact(origin)).then_some(origins);
        self.checked(
            name,
            "a list of origins like https://app.example.com, separated by commas (http only on this machine)",
            value,
        )
        .unwrap_or_default()
    }
}

/// Nobody on the way reads along.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const VALID: [(&str, &str); 5] = [
        (
            "AIMHARDER_FINGERPRINT",
            "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb",
        ),
        ("SUPABASE_URL", "http://127.0.0.1:54321"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_x"),
        ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("INTERNAL_API_KEY", "0123456789abcdef"),
    ];

    fn with(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut settings: HashMap<_, _> = VALID.into_iter().collect();
        settings.extend(changes.iter().copied());
        build(|name| settings.get(name).map(|text| (*text).to_owned()))
    }

    fn mistakes(changes: &[(&str, &str)]) -> Vec<String> {
        with(changes).map_or_else(|error| error.mistakes, |_| Vec::new())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = with(&[]).unwrap();
        assert_eq!(config.refresh_url.as_str(), "https://aimharder.com/setrefresh");
        assert_eq!(
            (
                config.batch_size,
                config.interval.as_secs(),
                config.timeout.as_secs(),
                config.manual_interval.as_secs()
            ),
            (10, 1_200, 10, 30)
        );
        assert_eq!(config.refresh_method, RefreshMethod::SetRefresh);
        assert!(config.cron_enabled && config.queue_enabled && config.allowed_origins.is_empty());
        assert_eq!(
            (
                config.max_in_flight,
                config.calls_per_second,
                config.exhaust_after,
                config.max_consumers
            ),
            (24, 20, 10, 10)
        );
    }

    #[test]
    fn every_mistake_is_named_in_one_error_without_its_value() {
        let error =
            build(|name| (name == "REFRESH_BATCH_SIZE").then(|| "lots-of-s3cret".to_owned())).unwrap_err();
        let text = error.to_string();
        for name in [
            "AIMHARDER_FINGERPRINT",
            "SUPABASE_URL",
            "SUPABASE_SERVICE_ROLE_KEY",
            "SUPABASE_JWT_SECRET",
            "INTERNAL_API_KEY",
            "REFRESH_BATCH_SIZE",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(!text.contains("s3cret"));
    }

    #[test]
    fn hazard_1_an_interval_longer_than_the_sessions_life_is_refused() {
        assert_eq!(
            mistakes(&[("REFRESH_INTERVAL_MINUTES", "30")]),
            ["REFRESH_INTERVAL_MINUTES must be a whole number from 5 to 29"]
        );
    }

    #[test]
    fn each_of_these_is_a_mistake() {
        for (name, value) in [
            ("AIMHARDER_REFRESH_URL", "http://aimharder.com/setrefresh"),
            (
                "AIMHARDER_REFRESH_URL",
                "https://user:pw@aimharder.com/setrefresh",
            ),
            (
                "AIMHARDER_REFRESH_URL",
                "https://aimharder.com/setrefresh?token=1",
            ),
            ("REFRESH_METHOD", "token_update"),
            ("AIMHARDER_FINGERPRINT", "two words"),
            ("SUPABASE_URL", "http://db.example.com"),
            ("SUPABASE_URL", "http://127.0.0.1.example.com"),
            ("SUPABASE_SERVICE_ROLE_KEY", "anon"),
            ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_\r\nx"),
            ("SUPABASE_JWT_SECRET", "short"),
            ("INTERNAL_API_KEY", "short"),
            ("INTERNAL_API_KEY_PREVIOUS", "short"),
            ("REFRESH_CRON_ENABLED", "maybe"),
            ("REFRESH_BATCH_SIZE", "0"),
            ("REFRESH_TIMEOUT_SECONDS", "1.5"),
            ("REFRESH_MANUAL_INTERVAL_SECONDS", "4"),
            ("REFRESH_MANUAL_INTERVAL_SECONDS", "3601"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "null"),
            ("ALLOWED_ORIGINS", "http://app.example.com"),
            (
                "ALLOWED_ORIGINS",
                "https://app.example.com, ftp://app.example.com",
            ),
            ("ALLOWED_ORIGINS", "https://app.example.com/"),
            ("SUBREQUEST_LIMIT", "5"),
            ("UPSTREAM_MAX_IN_FLIGHT", "0"),
            ("REFRESH_SESSIONS_PER_RUN", "0"),
            ("UPSTREAM_CALLS_PER_SECOND", "0.5"),
            ("REFRESH_EXHAUST_AFTER", "2"),
            ("REFRESH_QUEUE_ENABLED", "sometimes"),
            ("REFRESH_MAX_CONSUMERS", "251"),
            ("JWKS_URL", "http://keys.example.com/jwks.json"),
            ("JWKS_URL", "not an address"),
        ] {
            assert_eq!(mistakes(&[(name, value)]).len(), 1, "{name}={value}");
        }
    }

    #[test]
    fn the_method_is_read_in_any_letter_case() {
        for text in ["tokenUpdate", "tokenupdate", "TOKENUPDATE"] {
            let config = with(&[("REFRESH_METHOD", text)]).unwrap();
            assert_eq!(config.refresh_method, RefreshMethod::TokenUpdate, "{text}");
        }
    }

    #[test]
    fn the_free_plans_runs_are_short_and_the_paid_ones_long() {
        let sessions = |limit| with(&[("SUBREQUEST_LIMIT", limit)]).unwrap().sessions_per_run;
        assert_eq!((sessions("50"), sessions("1000")), (12, 10_000));
    }

    #[test]
    fn a_second_internal_key_is_accepted_while_rotating() {
        let config = with(&[("INTERNAL_API_KEY_PREVIOUS", "fedcba9876543210")]).unwrap();
        assert_eq!(config.internal_api_keys.len(), 2);
    }

    #[test]
    fn an_empty_key_is_a_mistake() {
        for name in [
            "INTERNAL_API_KEY",
            "INTERNAL_API_KEY_PREVIOUS",
            "SUPABASE_JWT_SECRET",
        ] {
            assert_eq!(mistakes(&[(name, "")]).len(), 1, "{name}");
        }
        assert!(with(&[("REFRESH_METHOD", "")]).is_ok());
    }

    #[test]
    fn tokens_need_a_secret_or_a_key_set() {
        let without = |changes: &[(&str, &str)]| {
            let settings: HashMap<_, _> = VALID
                .into_iter()
                .filter(|(name, _)| *name != "SUPABASE_JWT_SECRET")
                .chain(changes.iter().copied())
                .collect();
            build(|name| settings.get(name).map(|text| (*text).to_owned()))
        };
        let error = without(&[]).unwrap_err();
        assert_eq!(error.mistakes, ["SUPABASE_JWT_SECRET or JWKS_URL is missing"]);
        let set = "https://project.supabase.co/auth/v1/.well-known/jwks.json";
        let config = without(&[("JWKS_URL", set)]).unwrap();
        assert!(config.jwt_secret.is_none() && config.jwks_url.is_some());
        assert!(with(&[("JWKS_URL", set)]).unwrap().jwt_secret.is_some());
    }

    #[test]
    fn the_issuer_is_supabase_s_unless_it_is_named() {
        assert_eq!(with(&[]).unwrap().jwt_issuer, "http://127.0.0.1:54321/auth/v1");
        let named = with(&[("JWT_ISSUER", "https://auth.example.com/auth/v1")]).unwrap();
        assert_eq!(named.jwt_issuer, "https://auth.example.com/auth/v1");
    }

    #[test]
    fn printing_the_settings_shows_no_secret() {
        let shown = format!("{:?}", with(&[]).unwrap());
        assert!(
            !shown.contains("0123456789abcdef")
                && !shown.contains("sb_secret_x")
                && !shown.contains("my0pz7")
        );
    }
}
