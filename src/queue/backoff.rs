//! How long a task waits after a failed attempt.

use std::time::Duration;

use super::RetryPolicy;

/// No pause is longer.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The pause after the `failures`-th failed attempt: the policy's backoff, doubled for each
/// earlier failure, and up to a quarter more so that tasks that failed together do not return
/// together. `random` is from 0 to 1.
pub(super) fn pause(policy: RetryPolicy, failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let pause = policy.backoff.saturating_mul(1 << doublings).min(PAUSE_MAX);
    pause.mul_f64(1.0 + random.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_up_to_a_day() {
        let policy = RetryPolicy {
            max_attempts: 100,
            backoff: Duration::from_secs(30),
        };
        for (failures, random, seconds) in [
            (0, 0.0, 30.0),
            (1, 0.0, 30.0),
            (1, 1.0, 37.5),
            (2, 0.0, 60.0),
            (3, 0.5, 135.0),
            (20, 0.0, 86_400.0),
            (u32::MAX, 0.0, 86_400.0),
        ] {
            let pause = pause(policy, failures, random).as_secs_f64();
            assert!(
                (pause - seconds).abs() < 1e-6,
                "{failures} {random}: {pause}"
            );
        }
    }
}
