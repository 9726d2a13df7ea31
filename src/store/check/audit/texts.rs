//! The texts: each has its record, and each record its texts.

use super::{Audit, id_of_row};
use crate::event::EventId;
use crate::id::Id;
use crate::store::keys::{self, EventText, Text};
use crate::store::record::{EventRecord, TaskRecord};
use crate::store::{Error, payload};
use crate::task::TaskId;

/// Bytes of an id in front of a text's kind.
const ID_BYTES: usize = 16;

impl Audit<'_> {
    pub(super) fn texts_of_task(&mut self, id: TaskId, record: &TaskRecord) -> Result<(), Error> {
        for kind in Text::ALL {
            let wanted = bytes_of(record, kind);
            let found = self.length(&keys::text(id, kind))?;
            if wanted != found {
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
        let prompt = self.length(&keys::event_text(id, EventText::Prompt))?;
        if prompt != record.prompt_bytes {
            self.wrong(format!("the prompt of event {id}"), "its length is another");
        }
        self.rows.payload(id, record.payload_bytes).map(drop)
    }

    /// A text has a record that says that it is there.
    pub(super) fn text(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let (id, kind) = key.split_at_checked(ID_BYTES).unwrap_or_default();
        let id = id_of_row(id, "texts")?;
        let is_right = match kind {
            b"p" | b"c" | b"r" | b"e" => {
                let of = |kind: &Text| keys::text(TaskId(id), *kind) == key;
                let kind = Text::ALL.into_iter().find(of);
                let task = self.rows.task(TaskId(id))?;
                let is_known = task
                    .zip(kind)
                    .is_some_and(|(task, kind)| bytes_of(&task, kind).is_some());
                is_known && std::str::from_utf8(value).is_ok()
            }
            b"a" => self.rows.event(EventId(id))?.is_some(),
            b"m" => {
                let event = self.rows.event(EventId(id))?;
                event.is_some_and(|event| event.prompt_bytes.is_some())
                    && std::str::from_utf8(value).is_ok()
            }
            [b'y', number @ ..] => self.is_piece(id, number)?,
            _ => false,
        };
        if !is_right {
            let shown = key.escape_ascii();
            self.wrong(
                format!("row {shown} of the texts"),
                "no record belongs to it, or it is not UTF-8",
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
}

fn bytes_of(record: &TaskRecord, kind: Text) -> Option<u64> {
    match kind {
        Text::Prompt => Some(record.prompt_bytes),
        Text::Context => record.context_bytes,
        Text::Result => record.result_bytes,
        Text::Error => record.error_bytes,
    }
}
