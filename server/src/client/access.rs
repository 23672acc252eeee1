//! What proves to a server who a client is, and to the client who the server is.

use std::fmt;
use std::path::PathBuf;

use data_encoding::BASE64;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// What a client needs where not everybody may connect.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What proves who the client is.
    pub credentials: Credentials,
    /// A file of certificates, in PEM, to trust where TLS is spoken. None: those that the machine
    /// trusts.
    pub ca: Option<PathBuf>,
}

/// What proves who a client is.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A token, as `fanlight users token` gave it.
    Token(String),
    /// A user and its password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
}

/// Secrets are not printed.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::None => f.write_str("None"),
            Credentials::Token(_) => f.write_str("Token(..)"),
            Credentials::Password { user, .. } => write!(f, "Password({user:?}, ..)"),
        }
    }
}

impl Access {
    /// Whether there is anything in it that others should not read.
    pub fn is_secret(&self) -> bool {
        !matches!(self.credentials, Credentials::None)
    }

    /// The header that says it.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let text = match &self.credentials {
            Credentials::None => return None,
            Credentials::Token(token) => format!("Bearer {token}"),
            Credentials::Password { user, password } => {
                format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
            }
        };
        // A token with a line break in it is none; the server will say so.
        let mut value = HeaderValue::from_str(&text)
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer invalid"));
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_printed() {
        let password = Credentials::Password { user: "alice".into(), password: "hush".into() };
        let access = Access { credentials: password, ca: None };
        assert_eq!(format!("{:?}", access.credentials), "Password(\"alice\", ..)");
        assert_eq!(format!("{:?}", Credentials::Token("hush".into())), "Token(..)");
        assert!(!format!("{:?}", access.authorization()).contains("YWxpY2U"));
    }
}
