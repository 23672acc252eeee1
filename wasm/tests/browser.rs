//! The bindings in a page.

#![cfg(target_arch = "wasm32")]

mod scenario;

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn a_message_is_published_leased_expired_and_leased_again() {
    scenario::redelivery();
}
