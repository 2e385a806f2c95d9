//! The two ways in which aimharder renews a session.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// Where `tokenUpdate` is, on the same origin as `setrefresh`.
const TOKEN_UPDATE_PATH: &str = "/api/tokenUpdate";

/// How a session is refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshMethod {
    /// `GET /setrefresh`, answered with a page.
    #[default]
    #[serde(rename = "setrefresh")]
    SetRefresh,
    /// `POST /api/tokenUpdate`, answered with JSON: what aimharder's own page does.
    #[serde(rename = "tokenUpdate")]
    TokenUpdate,
}

/// Why a text names no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither setrefresh nor tokenUpdate")]
pub struct UnknownMethodError;

impl RefreshMethod {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::SetRefresh, Self::TokenUpdate];

    /// Its name: in the configuration and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SetRefresh => "setrefresh",
            Self::TokenUpdate => "tokenUpdate",
        }
    }

    /// The address that it calls, given that of `setrefresh`.
    #[must_use]
    pub fn endpoint(self, setrefresh: &Url) -> Url {
        let mut url = setrefresh.clone();
        match self {
            Self::SetRefresh => {}
            Self::TokenUpdate => {
                url.set_path(TOKEN_UPDATE_PATH);
                url.set_query(None);
                url.set_fragment(None);
            }
        }
        url
    }
}

impl FromStr for RefreshMethod {
    type Err = UnknownMethodError;

    /// Reads a name, in any letter case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownMethodError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for method in RefreshMethod::ALL {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
            assert_eq!(
                serde_json::from_value::<RefreshMethod>(method.as_str().into()).unwrap(),
                method
            );
            assert_eq!(method.as_str().parse(), Ok(method));
        }
    }

    #[test]
    fn a_name_is_read_in_any_letter_case_and_nothing_else_is() {
        assert_eq!("TOKENUPDATE".parse(), Ok(RefreshMethod::TokenUpdate));
        assert_eq!("SetRefresh".parse(), Ok(RefreshMethod::SetRefresh));
        for text in [
            "",
            " setrefresh",
            "token_update",
            "token-update",
            "setrefresh,tokenUpdate",
            "1",
        ] {
            assert_eq!(text.parse::<RefreshMethod>(), Err(UnknownMethodError), "{text}");
        }
    }

    #[test]
    fn token_update_is_called_where_setrefresh_is() {
        for (setrefresh, expected) in [
            (
                "https://aimharder.com/setrefresh",
                "https://aimharder.com/api/tokenUpdate",
            ),
            (
                "http://127.0.0.1:8799/es/setrefresh#top",
                "http://127.0.0.1:8799/api/tokenUpdate",
            ),
        ] {
            let url = Url::parse(setrefresh).unwrap();
            assert_eq!(RefreshMethod::TokenUpdate.endpoint(&url).as_str(), expected);
            assert_eq!(RefreshMethod::SetRefresh.endpoint(&url), url);
        }
    }
}
