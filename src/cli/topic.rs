//! The commands there are, and the options of each.

/// The commands there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Serve,
    Demo,
    Init,
    Check,
    Health,
    Events,
    Webhook,
    Backup,
    Torture,
}

impl Topic {
    pub(super) const ALL: [Self; 9] = [
        Self::Serve,
        Self::Demo,
        Self::Init,
        Self::Check,
        Self::Health,
        Self::Events,
        Self::Webhook,
        Self::Backup,
        Self::Torture,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Demo => "demo",
            Self::Init => "init",
            Self::Check => "check",
            Self::Health => "health",
            Self::Events => "events",
            Self::Webhook => "webhook",
            Self::Backup => "backup",
            Self::Torture => "torture",
        }
    }

    /// Options that have a value.
    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Serve | Self::Check => &["--addr", "--api-key", "--config", "--data", "--log"],
            Self::Demo | Self::Health => &["--addr"],
            Self::Init => &[],
            Self::Events => &[
                "--addr",
                "--api-key",
                "--state",
                "--source",
                "--type",
                "--limit",
            ],
            Self::Backup => &["--addr", "--api-key"],
            Self::Webhook => &["--addr", "--api-key", "--config", "--source", "--event"],
            Self::Torture => &["--data", "--seconds", "--seed"],
        }
    }

    /// Options that have none.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Serve | Self::Check => &["--allow-anonymous"],
            Self::Demo => &["--exit"],
            Self::Events => &["--json"],
            Self::Init | Self::Health | Self::Webhook | Self::Backup => &[],
            Self::Torture => &["--keep", "--json"],
        }
    }
}
