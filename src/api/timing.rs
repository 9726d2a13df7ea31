//! How long requests take, by endpoint and class of status.

use std::time::Duration;

use super::route::{self, Endpoint};
use crate::http::Method;
use crate::metrics::{Histogram, SHORT};

/// Classes of statuses.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// A histogram for each endpoint and class.
#[derive(Debug)]
pub(super) struct Timings {
    /// By endpoint, in the order of the table of routes.
    endpoints: Vec<Timed>,
    /// Where each endpoint stands in `endpoints`.
    places: Vec<Option<usize>>,
}

#[derive(Debug)]
struct Timed {
    method: Method,
    path: String,
    classes: [Histogram; CLASSES.len()],
}

impl Default for Timings {
    fn default() -> Self {
        let mut timings = Self {
            endpoints: Vec::new(),
            places: Vec::new(),
        };
        for (endpoint, method, path) in route::endpoints() {
            let number = endpoint as usize;
            if timings.places.len() <= number {
                timings.places.resize(number.saturating_add(1), None);
            }
            if let Some(place) = timings.places.get_mut(number) {
                *place = Some(timings.endpoints.len());
            }
            timings.endpoints.push(Timed {
                method,
                path,
                classes: CLASSES.map(|_| Histogram::new(SHORT)),
            });
        }
        timings
    }
}

impl Timings {
    /// Counts a request to `endpoint` that was answered with `status` after `took`.
    pub(super) fn observe(&self, endpoint: Endpoint, status: u16, took: Duration) {
        let place = self.places.get(endpoint as usize).copied().flatten();
        let timed = place.and_then(|place| self.endpoints.get(place));
        let class = usize::from(status / 100).checked_sub(2);
        let histogram = timed
            .zip(class)
            .and_then(|(timed, class)| timed.classes.get(class));
        if let Some(histogram) = histogram {
            histogram.observe(took);
        }
    }

    /// Method, path, class and histogram of each endpoint and class that was answered.
    pub(super) fn all(&self) -> impl Iterator<Item = (Method, &str, &'static str, &Histogram)> {
        self.endpoints.iter().flat_map(|timed| {
            let classes = CLASSES.iter().zip(&timed.classes);
            classes
                .filter(|(_, histogram)| histogram.count() > 0)
                .map(|(class, histogram)| (timed.method, timed.path.as_str(), *class, histogram))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_class() {
        let timings = Timings::default();
        for (endpoint, status) in [
            (Endpoint::Health, 200),
            (Endpoint::Health, 503),
            (Endpoint::CancelTask, 200),
            (Endpoint::CancelTask, 409),
            (Endpoint::CancelTask, 404),
            (Endpoint::ReceiveWebhook, 202),
            (Endpoint::Stats, 99),
            (Endpoint::Stats, 600),
        ] {
            timings.observe(endpoint, status, Duration::from_millis(1));
        }
        let counted: Vec<_> = timings
            .all()
            .map(|(method, path, class, histogram)| {
                (method.as_str(), path, class, histogram.count())
            })
            .collect();
        assert_eq!(
            counted,
            [
                ("GET", "/health", "2xx", 1),
                ("GET", "/health", "5xx", 1),
                ("DELETE", "/task/{id}", "2xx", 1),
                ("DELETE", "/task/{id}", "4xx", 2),
                ("POST", "/webhook/{source}", "2xx", 1),
            ]
        );
    }
}
