//! Telegram: a secret token that is sent as it is.
//!
//! An update has its number and one more field, which says what it is: `message`,
//! `callback_query`. Everything else is looked up below that field.

use std::sync::LazyLock;

use super::paths::Paths;
use super::pick;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Rejection};
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::{Keyring, Secret};

const TOKEN: &str = "x-telegram-bot-api-secret-token";
const NUMBER: &str = "update_id";

static NUMBER_PATH: LazyLock<Paths> = LazyLock::new(|| Paths::new([NUMBER]));

/// Characters of a token at most, as the Bot API has it.
const TOKEN_MAX: usize = 256;

/// Who did it: a user, by name or by number; of a channel's post, the chat itself.
const ACTOR: [&str; 6] = [
    "from.username",
    "from.id",
    "user.username",
    "user.id",
    "sender_chat.username",
    "sender_chat.id",
];

/// The chat; of a button that was pressed, the chat of its message.
const CHAT: [&str; 2] = ["chat.id", "message.chat.id"];

const LINES: &[Line] = &[
    ("text", Form::Text, &["text", "caption", "data", "query"]),
    (
        "thread",
        Form::Word,
        &["message_thread_id", "message.message_thread_id"],
    ),
];

/// Of what an update is about.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES, ACTOR.into_iter().chain(CHAT)));

pub(super) struct Telegram {
    tokens: Keyring,
    /// The first token, for signing.
    token: Secret,
}

impl Telegram {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        let is_token = |secret: &Secret| {
            let text = secret.reveal();
            let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
        };
        let token = secrets.first().filter(|_| secrets.iter().all(is_token));
        let token = token.cloned().ok_or_else(|| {
            format!("a secret token of Telegram is 1 to {TOKEN_MAX} characters of [A-Za-z0-9_-]")
        })?;
        Ok(Self {
            tokens: Keyring::new(secrets),
            token,
        })
    }
}

impl Sender for Telegram {
    fn verify(&self, headers: &dyn Headers, _: &[u8], _: Timestamp) -> Result<(), Rejection> {
        let token = signature::required(headers, TOKEN)?;
        if self.tokens.accepts(token.as_bytes()) {
            Ok(())
        } else {
            Err(Rejection::WrongSignature)
        }
    }

    fn read(&self, _: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let number = pick::pick(payload, &NUMBER_PATH)?.word(NUMBER);
        let Some((event_type, update)) = pick::first_member_but(payload, NUMBER) else {
            return Ok(Reading {
                delivery_id: number,
                ..Reading::default()
            });
        };
        let picked = TABLE.pick(update)?;
        let (actor, chat) = (picked.first_word(&ACTOR), picked.first_word(&CHAT));
        let mut attributes = TABLE.attributes(&picked);
        table::put(&mut attributes, "sender", actor.as_deref());
        table::put(&mut attributes, "channel", chat.as_deref());
        Ok(Reading {
            event_type: Some(event_type),
            delivery_id: number,
            actor,
            subject: chat,
            attributes,
            challenge: None,
        })
    }

    fn sign(&self, _: &Outgoing<'_>) -> Result<Fields, String> {
        Ok(super::fields([(TOKEN, self.token.reveal().to_owned())]))
    }
}
