//! The kinds of senders.

use std::fmt;
use std::str::FromStr;

/// Who sends: it decides how deliveries are signed and how they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// GitHub.
    Github,
    /// GitLab, with its secret token or its signing token.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// Bitbucket.
    Bitbucket,
    /// Jira.
    Jira,
    /// Slack: events, slash commands, interaction.
    Slack,
    /// Stripe.
    Stripe,
    /// Shopify.
    Shopify,
    /// Linear.
    Linear,
    /// A bot of Telegram.
    Telegram,
    /// Whoever follows Standard Webhooks.
    Standard,
    /// Whoever signs the body with an HMAC in a header; the scheme is configured.
    Hmac,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::Forgejo,
        Self::Bitbucket,
        Self::Jira,
        Self::Slack,
        Self::Stripe,
        Self::Shopify,
        Self::Linear,
        Self::Telegram,
        Self::Standard,
        Self::Hmac,
    ];

    /// Its name in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Bitbucket => "bitbucket",
            Self::Jira => "jira",
            Self::Slack => "slack",
            Self::Stripe => "stripe",
            Self::Shopify => "shopify",
            Self::Linear => "linear",
            Self::Telegram => "telegram",
            Self::Standard => "standard",
            Self::Hmac => "hmac",
        }
    }

    /// Whether it may send forms.
    pub(super) fn sends_forms(self) -> bool {
        matches!(
            self,
            Self::Github | Self::Gitea | Self::Forgejo | Self::Slack
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKind;

impl fmt::Display for NotAKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a source's kind is one of ")?;
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotAKind {}

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(NotAKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for text in ["", "GitHub", "git hub", "svix"] {
            assert_eq!(text.parse::<Kind>(), Err(NotAKind));
        }
        let told = NotAKind.to_string();
        assert!(
            told.starts_with("a source's kind is one of github, gitlab,"),
            "{told}"
        );
    }
}
