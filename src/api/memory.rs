//! Memory for what is shown.

use std::time::Duration;

use super::error::ApiError;
use crate::budget::{Budget, Permit};

/// How long an answer waits for memory before it is 503.
const PATIENCE: Duration = Duration::from_secs(5);

/// Grows a permit to `size` bytes, or to the whole budget where that is less: what is larger than
/// the budget is shown when nothing else is in memory.
pub(super) async fn grow_to(
    budget: &Budget,
    permit: &mut Permit,
    size: u64,
) -> Result<(), ApiError> {
    let missing = size.min(budget.size()).saturating_sub(permit.bytes());
    if missing == 0 || permit.grow_within(missing, PATIENCE).await {
        Ok(())
    } else {
        Err(ApiError::overloaded())
    }
}

/// A length in memory as the budget counts it.
pub(super) fn byte_count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_the_budget_is_shown_when_nothing_else_is() {
        let budget = Budget::new(100);
        let mut permit = budget.empty();
        smol::block_on(async {
            assert_eq!(grow_to(&budget, &mut permit, 1_000).await, Ok(()));
            assert_eq!((permit.bytes(), budget.free()), (100, 0));
            assert_eq!(grow_to(&budget, &mut permit, 2_000).await, Ok(()));
            permit.shrink_to(20);
            assert_eq!(grow_to(&budget, &mut permit, 10).await, Ok(()));
            assert_eq!(permit.bytes(), 20);
        });
    }
}
