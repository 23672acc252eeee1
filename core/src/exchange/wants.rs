//! Bindings of headers exchanges, found by the headers that they want.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Binding, Counts, Leads, add, remove};
use crate::record::Headers;
use crate::request::{HeaderMatch, MatchMode, WantedHeader};

/// The bindings of a headers exchange. One that wants all of its headers stands under one of them,
/// one that wants any stands under each; so a record costs the bindings that want a header which it
/// has, not those that were bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    /// Bindings that want all of nothing.
    every: Counts,
    names: BTreeMap<String, Named>,
}

#[derive(Clone, Debug, Default)]
struct Named {
    present: BTreeSet<Binding>,
    values: BTreeMap<Vec<u8>, BTreeSet<Binding>>,
}

impl Wants {
    pub(super) fn add(&mut self, binding: &Binding) {
        let Some(wants) = binding.headers.as_deref() else {
            return add(&mut self.every, &binding.to);
        };
        if is_any(wants.mode) {
            effective(wants).for_each(|wanted| {
                self.at(wanted).insert(binding.clone());
            });
            return;
        }
        let fewest = effective(wants).min_by_key(|wanted| {
            (self.under(wanted).map_or(0, BTreeSet::len), wanted.value.is_none())
        });
        match fewest {
            Some(wanted) => {
                self.at(wanted).insert(binding.clone());
            }
            None => add(&mut self.every, &binding.to),
        }
    }

    /// Takes a binding back; it is there.
    pub(super) fn remove(&mut self, binding: &Binding) {
        let mut wanted = binding.headers.as_deref().into_iter().flat_map(effective).peekable();
        if wanted.peek().is_none() {
            if binding.headers.as_deref().is_none_or(|wants| !is_any(wants.mode)) {
                remove(&mut self.every, &binding.to);
            }
            return;
        }
        for WantedHeader { name, value } in wanted {
            let Some(named) = self.names.get_mut(name.as_ref()) else { continue };
            match value {
                None => {
                    named.present.remove(binding);
                }
                Some(value) => {
                    if let Some(under) = named.values.get_mut(value.as_ref()) {
                        under.remove(binding);
                        if under.is_empty() {
                            named.values.remove(value.as_ref());
                        }
                    }
                }
            }
            if named.present.is_empty() && named.values.is_empty() {
                self.names.remove(name.as_ref());
            }
        }
    }

    pub(super) fn matches<'e>(&'e self, headers: Headers<'_>, to: &mut impl FnMut(&'e Leads)) {
        self.every.keys().for_each(&mut *to);
        for (name, value) in headers.iter() {
            let Some(named) = self.names.get(name) else { continue };
            let with_value = named.values.get(value).into_iter().flatten();
            for binding in with_value.chain(&named.present) {
                let wants = binding.headers.as_deref().expect("it stands under what it wants");
                if is_any(wants.mode) || has_all(headers, wants) {
                    to(&binding.to);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.every.is_empty() && self.names.is_empty()
    }

    fn at(&mut self, wanted: &WantedHeader<'_>) -> &mut BTreeSet<Binding> {
        let named = self.names.entry(wanted.name.as_ref().to_owned()).or_default();
        match &wanted.value {
            None => &mut named.present,
            Some(value) => named.values.entry(value.as_ref().to_owned()).or_default(),
        }
    }

    fn under(&self, wanted: &WantedHeader<'_>) -> Option<&BTreeSet<Binding>> {
        let named = self.names.get(wanted.name.as_ref())?;
        match &wanted.value {
            None => Some(&named.present),
            Some(value) => named.values.get(value.as_ref()),
        }
    }
}

fn is_any(mode: MatchMode) -> bool {
    matches!(mode, MatchMode::Any | MatchMode::AnyWithX)
}

/// The headers that count in this mode.
pub(super) fn effective<'m>(
    wants: &'m HeaderMatch<'static>,
) -> impl Iterator<Item = &'m WantedHeader<'static>> {
    let with_x = matches!(wants.mode, MatchMode::AllWithX | MatchMode::AnyWithX);
    wants.headers.iter().filter(move |wanted| with_x || !wanted.name.starts_with("x-"))
}

fn has_all(headers: Headers<'_>, wants: &HeaderMatch<'static>) -> bool {
    effective(wants).all(|wanted| wanted.is_in(headers))
}
