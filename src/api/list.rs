//! Lists by the page: tasks and events.
//!
//! BOUND: a page's body is at most 8 MiB and a quarter of the budget, unless its first entry alone
//! is larger. Texts are read a chunk at a time, and their bytes, like those of the body, are taken
//! from the budget first. When memory is short, a page ends early rather than fail.

use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::memory::{byte_count, grow_to};
use super::view;
use crate::budget::Permit;
use crate::http::Reply;

/// Bytes of a page's body at most.
const BODY_MAX: u64 = 8 << 20;

/// Bytes of texts that are read at once: a page of small entries is one read, and a page of large
/// ones needs little beside its body.
const CHUNK_MAX: u64 = 1 << 20;

/// What a page lists.
pub(super) trait Listed: Send + Sync {
    /// Tells entries apart and orders them.
    type Id: Copy + Send + Sync;
    /// What is shown of an entry.
    type View<'a>: Serialize + Send
    where
        Self: 'a;

    /// Which entry it is.
    fn id(&self) -> Self::Id;

    /// What is shown of it.
    fn view(&self) -> Result<Self::View<'_>, ApiError>;
}

/// A page that is rendered.
pub(super) struct Rendered<I> {
    pub(super) reply: Reply,
    /// The last entry that was dealt with, where the page ends in front of others that belong to
    /// it.
    pub(super) cut_behind: Option<I>,
}

/// The array of a page while entries are added to it.
struct Listing<I> {
    /// The JSON up to the last entry, without the bracket that ends it.
    json: Vec<u8>,
    /// Bytes that `json` may have, its last bracket included.
    max: u64,
    /// Stands for `json` and the texts that are read.
    permit: Permit,
    /// The last entry that was dealt with: shown, or found to be deleted.
    last: Option<I>,
}

impl Api {
    /// Renders a page of `entries`, given by id and bytes, which `load` reads.
    pub(super) async fn render_page<T, L>(
        &self,
        entries: &[(T::Id, u64)],
        load: impl Fn(Vec<T::Id>) -> L + Send + Sync,
    ) -> Result<Rendered<T::Id>, ApiError>
    where
        T: Listed,
        L: Future<Output = Result<Vec<T>, ApiError>> + Send,
    {
        let mut listing = Listing {
            json: b"[".to_vec(),
            max: BODY_MAX.min(self.budget.size() / 4),
            permit: self.budget.empty(),
            last: None,
        };
        let mut rest = entries;
        let mut ended_early = false;
        while !rest.is_empty() && !ended_early {
            let (chunk, behind) = rest.split_at(chunk_length(rest));
            ended_early = !self.add_chunk(&mut listing, chunk, &load).await?;
            rest = behind;
        }
        let Listing {
            mut json,
            permit,
            last,
            ..
        } = listing;
        json.push(b']');
        let reply = Reply {
            permit: Some(permit),
            ..Reply::json(200, json)
        };
        Ok(Rendered {
            reply,
            cut_behind: last.filter(|_| ended_early),
        })
    }

    /// Adds the entries of a chunk. `false` when the page ends before the chunk does; an error
    /// only where the page would be empty otherwise.
    async fn add_chunk<T, L>(
        &self,
        listing: &mut Listing<T::Id>,
        chunk: &[(T::Id, u64)],
        load: &(impl Fn(Vec<T::Id>) -> L + Send + Sync),
    ) -> Result<bool, ApiError>
    where
        T: Listed,
        L: Future<Output = Result<Vec<T>, ApiError>> + Send,
    {
        let is_first = listing.last.is_none();
        let ends_page = |error| if is_first { Err(error) } else { Ok(false) };
        // JSON makes texts longer, never shorter: what does not fit now, will not fit as JSON.
        let first_size = chunk.first().map_or(0, |(_, size)| *size);
        let start = listing.size();
        if !is_first && start.saturating_add(first_size) > listing.max {
            return Ok(false);
        }
        let texts = chunk
            .iter()
            .fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
        // As they are, and in the page. Who asked for the second half later would stand in line for it with others
        // who hold their first, and none would get it.
        let for_texts = start.saturating_add(texts.saturating_mul(2));
        if let Err(error) = grow_to(&self.budget, &mut listing.permit, for_texts).await {
            return ends_page(error);
        }
        let loaded = load(chunk.iter().map(|(id, _)| *id).collect()).await?;
        let views = loaded
            .iter()
            .map(Listed::view)
            .collect::<Result<Vec<_>, _>>()?;
        let lengths = views
            .iter()
            .map(view::length)
            .collect::<Result<Vec<_>, _>>()?;
        let (count, end) = fitting(start, listing.max, &lengths, is_first);
        let for_all = end.saturating_add(texts);
        if let Err(error) = grow_to(&self.budget, &mut listing.permit, for_all).await {
            return ends_page(error);
        }
        listing.reserve(end);
        for (entry, view) in loaded.iter().zip(&views).take(count) {
            listing.add(entry.id(), view)?;
        }
        let is_whole = count == views.len();
        if is_whole {
            listing.last = chunk.last().map(|(id, _)| *id);
        }
        drop(views);
        drop(loaded);
        listing.permit.shrink_to(listing.size());
        Ok(is_whole)
    }
}

impl<I> Listing<I> {
    /// Bytes of the JSON with its last bracket.
    fn size(&self) -> u64 {
        byte_count(self.json.len()).saturating_add(1)
    }

    /// Makes room for JSON of `size` bytes.
    fn reserve(&mut self, size: u64) {
        let missing = size.saturating_sub(byte_count(self.json.len()));
        self.json
            .reserve_exact(usize::try_from(missing).unwrap_or(0));
    }

    fn add(&mut self, id: I, view: &impl Serialize) -> Result<(), ApiError> {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        self.last = Some(id);
        view::write(&mut self.json, view)
    }
}

/// How many entries of those `lengths` may follow JSON of `start` bytes, and how long it is with
/// them, a comma in front of each. The first entry of a page always may.
fn fitting(start: u64, max: u64, lengths: &[usize], is_first: bool) -> (usize, u64) {
    let mut end = start;
    let mut count = 0;
    for length in lengths {
        let next = end.saturating_add(byte_count(*length)).saturating_add(1);
        if next > max && !(is_first && count == 0) {
            break;
        }
        end = next;
        count += 1;
    }
    (count, end)
}

/// Entries from the front whose texts make a chunk: at least one.
fn chunk_length<I>(entries: &[(I, u64)]) -> usize {
    let mut sum = 0_u64;
    let fitting = entries.iter().take_while(|(_, size)| {
        sum = sum.saturating_add(*size);
        sum <= CHUNK_MAX
    });
    fitting.count().clamp(1, entries.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_it_passes_its_limit() {
        for (start, lengths, is_first, expected) in [
            (2, &[10, 10][..], true, (2, 24)),
            (2, &[10, 84, 1], true, (3, 100)),
            (2, &[10, 84, 2], true, (2, 98)),
            (2, &[10, 87], true, (1, 13)),
            (2, &[10, 86], true, (2, 100)),
            (2, &[500, 1], true, (1, 503)),
            (2, &[], true, (0, 2)),
            (90, &[9, 1], false, (1, 100)),
            (90, &[10, 1], false, (0, 90)),
            (90, &[500], false, (0, 90)),
            (2, &[usize::MAX, 1], true, (1, u64::MAX)),
        ] {
            assert_eq!(fitting(start, 100, lengths, is_first), expected);
        }
    }

    #[test]
    fn a_chunk_is_bounded_and_never_empty() {
        for (sizes, length) in [
            (&[0, 0, 0][..], 3),
            (&[CHUNK_MAX][..], 1),
            (&[CHUNK_MAX + 1, 1][..], 1),
            (&[CHUNK_MAX, 1][..], 1),
            (&[1, CHUNK_MAX - 1, 1][..], 2),
            (&[u64::MAX, u64::MAX][..], 1),
        ] {
            let entries: Vec<_> = sizes.iter().map(|size| ((), *size)).collect();
            assert_eq!(chunk_length(&entries), length, "{sizes:?}");
        }
    }
}
