//! The backup: every row of one moment as one document, made while it is sent.
//!
//! BOUND: one backup at a time, [`TIME_MAX`] long at most, because the tables of its moment stay
//! on the disk until it has ended; a piece of it and the row that the piece is made of are taken
//! from the budget. A client that takes nothing is cut as from any other answer.

use std::time::{Duration, Instant};

use log::{error, info, warn};
use smol::stream::unfold;

use super::Api;
use super::error::ApiError;
use super::memory::grow_to;
use crate::budget::{Budget, Permit};
use crate::clock::monotonic;
use crate::http::{Reply, Unfinished};
use crate::queue::{Backup, Piece};

/// How long a backup may go on: at 10 MiB a second it comes to 210 GiB.
const TIME_MAX: Duration = Duration::from_secs(6 * 3_600);

impl Api {
    /// `GET /backup`
    pub(super) async fn back_up(&self) -> Result<Reply, ApiError> {
        let mut permit = self.budget.empty();
        grow_to(&self.budget, &mut permit, Piece::BYTES_MAX).await?;
        let backup = self.queue.back_up().await?;
        let begun = monotonic();
        let sending = Sending {
            backup,
            budget: self.budget.clone(),
            permit,
            begun,
            bytes: 0,
        };
        let pieces = unfold(Some(sending), |sending| async {
            let mut sending = sending?;
            match sending.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
                Ok(None) => None,
                Err(Unfinished) => Some((Err(Unfinished), None)),
            }
        });
        Ok(Reply::stream(200, "application/json", Box::pin(pieces)))
    }
}

/// A backup and what it holds.
struct Sending {
    backup: Backup,
    budget: Budget,
    permit: Permit,
    begun: Instant,
    bytes: u64,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Unfinished> {
        let taken = monotonic().duration_since(self.begun);
        if taken > TIME_MAX {
            warn!(
                "a backup was cut after {} hours: its client takes it too slowly",
                TIME_MAX.as_secs() / 3_600
            );
            return Err(Unfinished);
        }
        match self.backup.next().await {
            Ok(Some(piece)) => {
                let held = Piece::BYTES_MAX.saturating_add(piece.held_bytes);
                self.permit.shrink_to(held);
                if grow_to(&self.budget, &mut self.permit, held).await.is_err() {
                    warn!("a backup was cut: no memory became free for a row of it");
                    return Err(Unfinished);
                }
                self.bytes = self.bytes.saturating_add(piece.bytes.len() as u64);
                Ok(Some(piece.bytes))
            }
            Ok(None) => {
                info!(
                    "a backup was taken; rows: {}, bytes: {}, seconds: {:.1}",
                    self.backup.rows(),
                    self.bytes,
                    taken.as_secs_f64()
                );
                Ok(None)
            }
            Err(failure) => {
                error!("a backup was cut: {failure}");
                Err(Unfinished)
            }
        }
    }
}
