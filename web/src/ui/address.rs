//! What the page's own address says: `?seed=7`, `?attach=ws://host:port/ws`, `?theme=light`.

use web_sys::{UrlSearchParams, Window};

/// The wishes in the address.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Address {
    pub(crate) seed: Option<u64>,
    pub(crate) attach: Option<String>,
}

impl Address {
    /// Reads the query, and the fragment in the same form.
    pub(crate) fn read(window: &Window) -> Address {
        let location = window.location();
        let query = location.search().unwrap_or_default();
        let fragment = location.hash().unwrap_or_default();
        let fragment = fragment.trim_start_matches('#');
        let find = |name: &str| {
            [query.as_str(), fragment]
                .into_iter()
                .find_map(|text| UrlSearchParams::new_with_str(text).ok()?.get(name))
                .filter(|value| !value.is_empty())
        };
        Address { seed: find("seed").and_then(|seed| seed.parse().ok()), attach: find("attach") }
    }
}

/// The socket of the server that this page came from; a guess where it came from elsewhere.
pub(crate) fn socket_here(window: &Window) -> String {
    let location = window.location();
    let host = location.host().unwrap_or_default();
    let is_secure = location.protocol().is_ok_and(|protocol| protocol == "https:");
    match (host.is_empty(), is_secure) {
        (true, _) => "ws://127.0.0.1:7420/ws".to_owned(),
        (false, true) => format!("wss://{host}/ws"),
        (false, false) => format!("ws://{host}/ws"),
    }
}
