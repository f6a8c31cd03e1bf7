//! What queueing theory says of a pool: connections are the servers, requests the customers, and the time for which a
//! connection is held the service. Pure.
//!
//! M/M/c by Erlang's formula C (Erlang 1917; Gross and Harris, "Fundamentals of Queueing Theory", section 2.3), and for other
//! distributions the approximation of Allen and Cunneen: the wait of M/M/c × (C²a + C²s) ÷ 2, with the squared coefficients of
//! variation of the gaps between arrivals and of the service (Allen 1990, "Probability, Statistics, and Queueing Theory with
//! Computer Science Applications", section 5.3.2). For Poisson arrivals at one server it is exact (Pollaczek and Khinchine).

/// Mean and variability of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Service {
    /// Mean in microseconds.
    pub(super) mean_us: f64,
    /// Variance ÷ mean².
    pub(super) scv: f64,
}

/// The probability that a request of an M/M/c queue has to wait. `load` is arrivals per second × mean service, below `servers`.
pub(super) fn erlang_c(servers: u32, load: f64) -> f64 {
    let servers = f64::from(servers);
    // Erlang B by its recursion, from which C follows: no factorial grows beyond bounds.
    let (mut blocked, mut n) = (1.0, 1.0);
    while n <= servers {
        blocked = load * blocked / (n + load * blocked);
        n += 1.0;
    }
    let utilisation = load / servers;
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// Mean wait for a connection in microseconds; nothing where more arrives than can be served, so that the queue has no end.
pub(super) fn wait_us(
    connections: u32,
    arrivals_per_s: f64,
    arrivals_scv: f64,
    service: Service,
) -> Option<f64> {
    let load = arrivals_per_s * service.mean_us / 1e6;
    let free = f64::from(connections) - load;
    (free > 0.0).then(|| {
        let exponential = erlang_c(connections, load) * service.mean_us / free;
        exponential * f64::midpoint(arrivals_scv, service.scv)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(connections: u32, per_s: f64, arrivals_scv: f64, scv: f64) -> Option<f64> {
        wait_us(connections, per_s, arrivals_scv, Service { mean_us: 20_000.0, scv })
    }

    /// One server: ρ ÷ (1 − ρ) services; twice the load of five on six: 0.5875 (Gross and Harris, table of Erlang C).
    #[test]
    fn the_waits_of_the_textbooks() {
        assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
        assert!((wait(1, 35.0, 1.0, 1.0).expect("room") - 20_000.0 * 0.7 / 0.3).abs() < 1e-6);
        // Two servers: C = 2ρ² ÷ (1 + ρ).
        assert!((erlang_c(2, 1.5) - 2.0 * 0.75 * 0.75 / 1.75).abs() < 1e-12);
        assert!((erlang_c(6, 5.0) - 0.5875).abs() < 5e-5, "{}", erlang_c(6, 5.0));
    }

    #[test]
    fn constant_service_waits_half_as_long_and_no_room_waits_forever() {
        let (exponential, constant) = (wait(4, 150.0, 1.0, 1.0), wait(4, 150.0, 1.0, 0.0));
        assert!((constant.expect("room") * 2.0 - exponential.expect("room")).abs() < 1e-9);
        assert_eq!(wait(3, 150.0, 1.0, 1.0), None);
        assert_eq!(wait(2, 150.0, 1.0, 1.0), None);
    }
}
