//! How a panic reaches JavaScript.

use std::panic;
use std::sync::Once;

/// With `panic = "abort"` a panic is a bare `RuntimeError: unreachable`, which says nothing to
/// whoever reports it. From here on it is an error with the panic's own words and place.
pub(crate) fn tell_javascript() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            let error = js_sys::Error::new(&info.to_string());
            error.set_name("FanlightPanic");
            wasm_bindgen::throw_val(error.into());
        }));
    });
}
