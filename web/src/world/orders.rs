//! The events that flow: real orders of a shop, and what its workers think of them.

use serde::{Deserialize, Serialize};

/// One JSON object a line. Whose they are is said in `assets/README.md`.
const SAMPLE: &str = include_str!("../../assets/orders.jsonl");

/// An `order.placed` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Always `order.placed`.
    pub event: String,
    /// The invoice; several lines may share it, so it is the key that keeps them in order.
    pub order_id: String,
    /// When the order was placed.
    pub at: String,
    /// The customer, where the shop knew them.
    pub customer_id: Option<String>,
    /// Where the order goes.
    pub country: String,
    /// The article.
    pub stock_code: String,
    /// What it is.
    pub description: Option<String>,
    /// How many.
    pub quantity: i64,
    /// The price of one, in pounds.
    pub unit_price: f64,
}

impl Order {
    /// The event as it is published.
    pub fn to_body(&self) -> String {
        serde_json::to_string(self).expect("an order has no keys but strings")
    }

    /// `order.placed.<country>`, in words that a topic exchange's patterns can match.
    pub fn routing_key(&self) -> String {
        let country: String = self
            .country
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        format!("order.placed.{country}")
    }
}

/// The orders of the sample, in the order in which they were placed.
pub fn sample() -> Vec<Order> {
    SAMPLE
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line of the sample is an order"))
        .collect()
}

/// What shipping does with an order's body: reads all of it, and says what is wrong with it.
pub fn check(body: &[u8]) -> Result<Order, String> {
    let order: Order =
        serde_json::from_slice(body).map_err(|e| format!("the body is no order: {e}"))?;
    if order.unit_price <= 0.0 {
        return Err(format!(
            "unit_price is {}; goods that leave the house have a price above 0",
            order.unit_price
        ));
    }
    if order.quantity < 1 {
        return Err(format!("quantity is {}; there is nothing to pack", order.quantity));
    }
    if order.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Err("description is missing; the packer cannot tell what to pack".to_owned());
    }
    Ok(order)
}

/// What to call a message by its body: the order's number.
pub fn title(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        order_id: String,
    }
    serde_json::from_slice::<Named>(body).ok().map(|named| named.order_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_real_orders_with_some_poison_among_them() {
        let orders = sample();
        assert!(orders.len() >= 400);
        let poison = orders.iter().filter(|o| check(o.to_body().as_bytes()).is_err()).count();
        assert_eq!(poison, 10, "the ten orders without a price");
        assert!(orders.iter().any(|o| o.customer_id.is_none()));
        assert!(orders.iter().all(|o| o.event == "order.placed"));
    }

    #[test]
    fn a_worker_says_what_is_wrong_with_a_body() {
        let mut order = sample().swap_remove(0);
        assert_eq!(check(order.to_body().as_bytes()), Ok(order.clone()));
        order.quantity = 0;
        assert_eq!(
            check(order.to_body().as_bytes()),
            Err("quantity is 0; there is nothing to pack".to_owned())
        );
        order.quantity = 1;
        order.description = None;
        assert!(
            check(order.to_body().as_bytes()).unwrap_err().starts_with("description is missing")
        );
        assert!(check(b"{").unwrap_err().starts_with("the body is no order: EOF"));
    }

    #[test]
    fn a_country_becomes_one_word_of_the_routing_key() {
        let mut order = sample().swap_remove(0);
        order.country = "United Kingdom".to_owned();
        assert_eq!(order.routing_key(), "order.placed.united-kingdom");
    }
}
