//! The few calls that worker-build makes, all of which end in a refusal: see ../../README.md.

use std::{error::Error, fmt, io};

/// Says that nothing is downloaded here.
#[derive(Debug)]
pub struct Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("downloads are off: WASM_BINDGEN_BIN, WASM_OPT_BIN and ESBUILD_BIN have to name the tools")
    }
}

impl Error for Refusal {}

/// Stands for client, builder and request in one.
pub struct Agent;

impl Agent {
    pub fn config_builder() -> Self {
        Self
    }

    pub fn tls_config(self, _config: tls::TlsConfig) -> Self {
        self
    }

    pub fn build(self) -> Self {
        self
    }

    pub fn new_agent(self) -> Self {
        self
    }

    pub fn get(self, _url: &str) -> Self {
        self
    }

    pub fn call(self) -> Result<Answer, Refusal> {
        Err(Refusal)
    }
}

/// Never made.
pub struct Answer(io::Empty);

impl Answer {
    pub fn body_mut(&mut self) -> &mut Self {
        self
    }

    pub fn as_reader(&mut self) -> &mut io::Empty {
        &mut self.0
    }
}

pub mod tls {
    pub struct TlsConfig;

    pub enum TlsProvider {
        NativeTls,
    }

    pub enum RootCerts {
        PlatformVerifier,
    }

    impl TlsConfig {
        pub fn builder() -> Self {
            Self
        }

        pub fn provider(self, _provider: TlsProvider) -> Self {
            self
        }

        pub fn root_certs(self, _roots: RootCerts) -> Self {
            self
        }

        pub fn build(self) -> Self {
            self
        }
    }
}
