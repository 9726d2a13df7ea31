//! The texts: each has its record, and each record its texts.

use super::{Audit, id_of_row};
use crate::event::EventId;
use crate::id::Id;
use crate::store::keys::{self, EventText, Text};
use crate::store::payload::{self, PIECE_BYTES};
use crate::store::record::{EventRecord, TaskRecord};
use crate::store::{ATTEMPTS_MAX, Error, text};
use crate::task::TaskId;

/// Bytes of an id in front of a text's kind.
const ID_BYTES: usize = 16;

impl Audit<'_> {
    pub(super) fn texts_of_task(&mut self, id: TaskId, record: &TaskRecord) -> Result<(), Error> {
        for kind in Text::ALL {
            let wanted = kind.bytes_in(record);
            let key = keys::text(id, kind);
            let found = self.text_length(&key)?;
            if wanted == found {
                self.rows.text(id, kind, record)?;
            } else {
                let shown = |bytes: Option<u64>| {
                    bytes.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"))
                };
                let detail = format!(
                    "it has {}, and its record says {}",
                    shown(found),
                    shown(wanted)
                );
                self.wrong(format!("the {kind:?} of task {id}").to_lowercase(), detail);
            }
        }
        let attempts = self.length(&keys::attempts(id))?;
        if attempts == record.attempts_bytes {
            let ended = self.rows.ended_attempts(id, record)?;
            if ended.len() > ATTEMPTS_MAX {
                self.wrong(format!("the attempts of task {id}"), "there are too many");
            }
        } else {
            self.wrong(
                format!("the attempts of task {id}"),
                "their length is another",
            );
        }
        Ok(())
    }

    pub(super) fn texts_of_event(
        &mut self,
        id: EventId,
        record: &EventRecord,
    ) -> Result<(), Error> {
        self.rows.attributes(id)?;
        let attributes = self.length(&keys::event_text(id, EventText::Attributes))?;
        if attributes != Some(record.attributes_bytes) {
            self.wrong(
                format!("the attributes of event {id}"),
                "their length is another",
            );
        }
        let prompt = self.text_length(&keys::event_text(id, EventText::Prompt))?;
        if prompt == record.prompt_bytes {
            self.rows.held_prompt(id)?;
        } else {
            self.wrong(format!("the prompt of event {id}"), "its length is another");
        }
        self.rows.payload(id, record.payload_bytes).map(drop)
    }

    /// A text has a record that says that it is there.
    pub(super) fn text(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let (id, kind) = key.split_at_checked(ID_BYTES).unwrap_or_default();
        let id = id_of_row(id, "texts")?;
        let (kind, rest) = kind.split_at_checked(1).unwrap_or_default();
        let is_right = match kind {
            b"p" | b"c" | b"r" | b"e" => {
                let text = key.get(..=ID_BYTES).unwrap_or_default();
                let of = |kind: &Text| keys::text(TaskId(id), *kind) == text;
                let kind = Text::ALL.into_iter().find(of);
                let task = self.rows.task(TaskId(id))?;
                let bytes = task.zip(kind).and_then(|(task, kind)| kind.bytes_in(&task));
                self.is_text_row(text, rest, bytes)?
            }
            b"h" => {
                let task = self.rows.task(TaskId(id))?;
                rest.is_empty() && task.is_some_and(|task| task.attempts_bytes.is_some())
            }
            b"a" => rest.is_empty() && self.rows.event(EventId(id))?.is_some(),
            b"m" => {
                let text = key.get(..=ID_BYTES).unwrap_or_default();
                let event = self.rows.event(EventId(id))?;
                let bytes = event.and_then(|event| event.prompt_bytes);
                self.is_text_row(text, rest, bytes)?
            }
            b"y" => self.is_piece(id, rest)?,
            _ => false,
        };
        if !is_right {
            let shown = key.escape_ascii();
            self.wrong(
                format!("row {shown} of the texts"),
                "no record belongs to it",
            );
        }
        Ok(())
    }

    fn is_piece(&self, id: Id, number: &[u8]) -> Result<bool, Error> {
        let Ok(number) = <[u8; 4]>::try_from(number).map(u32::from_be_bytes) else {
            return Ok(false);
        };
        let event = self.rows.event(EventId(id))?;
        Ok(event.is_some_and(|event| number < payload::pieces(event.payload_bytes)))
    }

    /// Whether a row behind the key of a text of `bytes` bytes is one of its rows; `rest` is what its
    /// own key has beyond that.
    fn is_text_row(&self, text: &[u8], rest: &[u8], bytes: Option<u64>) -> Result<bool, Error> {
        let Some(bytes) = bytes else {
            return Ok(false);
        };
        if rest.is_empty() {
            return Ok(true);
        }
        let is_in_pieces = self.length(text)? == Some(PIECE_BYTES as u64);
        let number = keys::text_piece_number(rest);
        let is_one = |number| (1..text::pieces(bytes)).contains(&number);
        Ok(is_in_pieces && number.is_some_and(is_one))
    }

    /// Bytes of a text as its rows have them; `None` where it has no row.
    fn text_length(&self, key: &[u8]) -> Result<Option<u64>, Error> {
        let Some(first) = self.length(key)? else {
            return Ok(None);
        };
        let mut sum = first;
        if first == PIECE_BYTES as u64 {
            for number in 1.. {
                match self.length(&keys::text_piece(key, number))? {
                    Some(bytes) => sum = sum.saturating_add(bytes),
                    None => break,
                }
            }
        }
        Ok(Some(sum))
    }
}
