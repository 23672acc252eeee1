//! The same inputs give the same effects, byte for byte, natively and in wasm: over so many seeds,
//! the digest of all effects here is the one that the native build wrote.

use fanlight_tests::parity;

/// On wasm: against the file that the native build wrote. `FANLIGHT_PARITY` names it when this is
/// compiled, since there are no files where this runs.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test::wasm_bindgen_test]
fn wasm_gives_the_effects_that_native_gives() {
    let native = include_str!(env!(
        "FANLIGHT_PARITY",
        "set it to the file that `cargo run -p fanlight-tests --example parity -- FILE` wrote"
    ));
    assert_eq!(native.lines().count() as u64, parity::SEEDS, "the native build ran all seeds");
    let differing = parity::differing(&parity::lines(), native);
    assert!(differing.is_empty(), "{} of {}: {differing:?}", differing.len(), parity::SEEDS);
}

/// Natively: two runs in one process, so that nothing but the seed decides.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn two_native_runs_give_the_same_effects() {
    let few = (0..100).map(parity::line).collect::<Vec<_>>();
    let again = (0..100).map(parity::line).collect::<Vec<_>>();
    assert_eq!(few, again);
}

/// A comparison that could not fail would prove nothing.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_digest_that_differs_is_named() {
    assert!(parity::differing("1 a\n2 b\n", "1 a\n2 b\n").is_empty());
    assert_eq!(parity::differing("1 a\n2 b\n", "1 a\n2 c\n"), ["2 b here, 2 c there"]);
    assert_eq!(parity::differing("1 a\n", ""), ["1 a here, nothing there"]);
}
