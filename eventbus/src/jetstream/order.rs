//! Messages in the order of their places, for a consumer that one process reads from at a time. It asks no server.
//!
//! ```text
//! sure    every delivery is the next one ─▶ it is given on at once
//! unsure  a delivery is missing, the connection broke, or this is the beginning ─▶ messages are held, until everything
//!         that the server has delivered and nobody has settled is in hand ─▶ given on, the oldest first
//! ```
//!
//! What a process had in hand that is gone, or what was lost on its way, comes again after the time to acknowledge; a
//! server gives newer messages meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::Message;

/// How soon after a delivery the server is asked, and how often after that.
const SOON: Duration = Duration::from_millis(20);
const AGAIN: Duration = Duration::from_millis(500);

/// What is held, and whether it may go on.
pub(super) struct Order<M = Message> {
    held: BTreeMap<u64, M>,
    /// Which delivery of the consumer comes next, while nothing is missing.
    next: Option<u64>,
    /// When the server is asked what is missing.
    ask_at: Instant,
}

impl<M> Order<M> {
    pub(super) fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            next: None,
            ask_at: Instant::now(),
        }
    }

    /// A delivery has come: the consumer counts them from 1.
    pub(super) fn delivered(&mut self, delivery: u64) {
        if self.next == Some(delivery) {
            self.next = Some(delivery + 1);
        } else {
            self.next = None;
            self.ask_at = self.ask_at.max(Instant::now() + SOON);
        }
    }

    /// Takes the message of a delivery.
    pub(super) fn hold(&mut self, seq: u64, message: M) {
        self.held.insert(seq, message);
    }

    /// What may be given on.
    pub(super) fn release(&mut self) -> Option<M> {
        self.next?;
        self.held.pop_first().map(|(_, message)| message)
    }

    /// When the server must be asked; never while nothing is missing.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        self.next.is_none().then_some(self.ask_at)
    }

    /// The server says that it has delivered so many times, and that so many messages are not settled; here are `in_hand`.
    pub(super) fn told(&mut self, deliveries: u64, unsettled: usize, in_hand: usize) {
        if unsettled <= in_hand {
            self.next = Some(deliveries + 1);
        } else {
            self.later();
        }
    }

    /// The server did not say.
    pub(super) fn later(&mut self) {
        self.ask_at = Instant::now() + AGAIN;
    }

    /// Messages may be missing from here on. Gives the numbers of those that were held, which come again.
    pub(super) fn broken(&mut self) -> Vec<u64> {
        self.next = None;
        self.ask_at = Instant::now();
        std::mem::take(&mut self.held).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &mut Order<u64>) -> Vec<u64> {
        std::iter::from_fn(|| order.release()).collect()
    }

    #[tokio::test]
    async fn newer_messages_wait_for_what_another_process_had_in_hand() {
        let mut order = Order::new();
        assert!(order.ask_at().is_some());
        // The process that is gone had 5 and 7; 9 and 10 are new.
        for (delivery, seq) in [(8, 9), (9, 10)] {
            order.delivered(delivery);
            order.hold(seq, seq);
            order.told(delivery, 4, 2);
            assert_eq!(order.release(), None);
        }
        for (delivery, seq) in [(10, 5), (11, 7), (12, 9)] {
            order.delivered(delivery);
            order.hold(seq, seq);
        }
        order.told(12, 4, 4);
        assert_eq!(all(&mut order), [5, 7, 9, 10]);
        assert_eq!(order.ask_at(), None);
    }

    #[tokio::test]
    async fn a_delivery_that_never_came_is_noticed_by_the_next_one() {
        let mut order = Order::new();
        order.told(3, 0, 0);
        order.delivered(4);
        order.hold(40, 40);
        assert_eq!(all(&mut order), [40]);
        order.delivered(6);
        order.hold(60, 60);
        assert_eq!(order.release(), None);
        assert!(order.ask_at().is_some());
        order.told(6, 3, 2);
        assert_eq!(order.release(), None);
        order.delivered(7);
        order.hold(50, 50);
        order.told(7, 3, 3);
        assert_eq!(all(&mut order), [50, 60]);
    }

    #[tokio::test]
    async fn what_is_held_when_the_connection_breaks_is_let_go() {
        let mut order = Order::new();
        order.delivered(1);
        order.hold(1, 1);
        assert_eq!(order.broken(), [1]);
        order.told(1, 0, 0);
        assert_eq!(order.release(), None);
    }
}
