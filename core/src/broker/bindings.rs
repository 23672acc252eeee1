//! Exchanges and bindings come and go.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use super::check::{Checked, hold};
use super::evolve::{Evolved, broken, fresh};
use super::{BUILT_IN, Broker, Refused, Violation, counted, shown, valid_name, within};
use crate::effect::Sink;
use crate::exchange::{Binding, Exchange, Leads, words};
use crate::fact::{ExchangeSetting, Fact};
use crate::id::ConnId;
use crate::limits::{BINDING_BYTES_MAX, HEADERS_MAX, NAME_BYTES_MAX, ROUTING_WORDS_MAX};
use crate::refusal::Code;
use crate::request::{Destination, ExchangeKind, ExchangePolicy, HeaderMatch};
use crate::sort::sort_by;

/// A binding as a request names it.
pub(super) struct Bound<'a> {
    pub(super) exchange: Cow<'a, str>,
    pub(super) to: Destination<'a>,
    pub(super) pattern: Cow<'a, str>,
    pub(super) headers: HeaderMatch<'a>,
}

impl Broker {
    pub(super) fn declare_exchange(
        &mut self,
        name: &str,
        kind: ExchangeKind,
        policy: &ExchangePolicy<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if let Some(exchange) = self.exchanges.get(name) {
            if exchange.kind == kind && exchange.policy == *policy {
                return Ok(());
            }
            let how = if exchange.kind == kind {
                format!("is otherwise: {:?}", exchange.policy)
            } else {
                format!("is {:?}, not {kind:?}", exchange.kind)
            };
            return Err(Code::Conflict.because(format!(
                "exchange {name:?} exists and {how}; delete it first, or take another name"
            )));
        }
        valid_name("exchange", name)?;
        if name.starts_with("amq.") {
            return Err(Code::BadName.because(format!(
                "{name:?}: names that begin with \"amq.\" are the broker's own"
            )));
        }
        if let Some(alternate) = policy.alternate.as_deref().filter(|name| !name.is_empty()) {
            valid_name("alternate exchange", alternate)?;
        }
        let have = self.exchanges.len() - BUILT_IN.len();
        self.room_for("exchanges", have, self.config.limits.exchanges_max)?;
        self.record(exchange_made(name, kind, policy), out);
        self.changed(out, || format!("exchange {name} was declared"));
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        name: &str,
        if_unused: bool,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        self.exchange_named(name)?;
        if name.starts_with("amq.") {
            return Err(Code::InUse
                .because(format!("exchange {name:?} is the broker's own and cannot be deleted")));
        }
        let bindings = self.exchanges[name].bindings().len() as u64;
        if if_unused && bindings > 0 {
            return Err(Code::InUse.because(format!(
                "exchange {name:?} has {}; unbind first, or delete it whether it is used or not",
                counted(bindings, "binding")
            )));
        }
        self.record(Fact::ExchangeDeleted { name: name.into() }, out);
        self.changed(out, || format!("exchange {name} was deleted"));
        Ok(())
    }

    pub(super) fn bind(
        &mut self,
        conn: ConnId,
        bound: Bound<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let kind = self.exchange_named(&bound.exchange)?;
        let (binding, headers) = self.binding(conn, &bound)?;
        valid_key(kind, &bound.pattern)?;
        valid_headers(&headers)?;
        let Bound { exchange, to, pattern, .. } = bound;
        if self.exchanges[exchange.as_ref()].is_bound(&binding) {
            return Ok(());
        }
        self.room_for("bindings", self.bindings, self.config.limits.bindings_max)?;
        let how = How(&pattern, &headers);
        let what = format!("exchange {exchange} was bound to {} with {how}", Shown(&to));
        self.record(self::bound(&exchange, to.clone(), &pattern, headers.clone()), out);
        self.changed(out, || what);
        Ok(())
    }

    pub(super) fn unbind(
        &mut self,
        conn: ConnId,
        bound: Bound<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        self.exchange_named(&bound.exchange)?;
        let (binding, headers) = self.binding(conn, &bound)?;
        let Bound { exchange, to, pattern, .. } = bound;
        let how = How(&pattern, &headers);
        if !self.exchanges[exchange.as_ref()].is_bound(&binding) {
            return Err(Code::UnknownBinding.because(format!(
                "exchange {exchange:?} is not bound to {} with {how}",
                Shown(&to)
            )));
        }
        let what = format!("exchange {exchange} was unbound from {} with {how}", Shown(&to));
        let fact = if headers.is_default() {
            Fact::Unbound { exchange, to, pattern: pattern.clone() }
        } else {
            Fact::UnboundByHeaders { exchange, to, pattern, headers: headers.clone() }
        };
        self.record(fact, out);
        self.changed(out, || what);
        Ok(())
    }

    /// What a request's binding is here, and what it wants in an order that does not depend on how
    /// it was said.
    fn binding<'a>(
        &self,
        conn: ConnId,
        bound: &Bound<'a>,
    ) -> Result<(Binding, HeaderMatch<'a>), Refused> {
        let mut headers = bound.headers.clone();
        if !headers.headers.is_sorted() {
            sort_by(&mut headers.headers, |a, b| a < b);
        }
        let leads = self.leads(&bound.to)?;
        if let Leads::Queue(id) = leads {
            self.not_anothers(conn, id)?;
        }
        Ok((Binding::new(leads, &bound.pattern, &headers), headers))
    }

    pub(super) fn exchange_named(&self, name: &str) -> Result<ExchangeKind, Refused> {
        self.exchanges.get(name).map(|exchange| exchange.kind).ok_or_else(|| {
            let message = if name.is_empty() {
                "the default exchange has its bindings from the queues' names and takes no others"
                    .into()
            } else {
                format!("there is no exchange {}; declare it first", shown(name))
            };
            Code::UnknownExchange.because(message)
        })
    }

    /// What a destination's name stands for.
    pub(super) fn leads(&self, to: &Destination<'_>) -> Result<Leads, Refused> {
        Ok(match to {
            Destination::Queue(name) => Leads::Queue(self.queue_named(name)?),
            Destination::Topic(name) => Leads::Topic(self.topic_named(name)?),
            Destination::Exchange(name) => {
                self.exchange_named(name)?;
                Leads::Exchange(name.as_ref().into())
            }
        })
    }

    /// Deletes the exchanges that were to go with their last binding, which went.
    pub(super) fn delete_bereft(&mut self, out: &mut dyn Sink) {
        while let Some(name) = self.bereft.pop() {
            let gone = self.exchanges.get(&name);
            if gone.is_some_and(|exchange| exchange.bindings().len() == 0) {
                self.record(Fact::ExchangeDeleted { name: name.as_str().into() }, out);
                self.changed(out, || {
                    format!("exchange {name} was deleted: its last binding went, as it was to")
                });
            }
        }
    }

    pub(super) fn exchange_made(
        &mut self,
        name: Cow<'_, str>,
        kind: ExchangeKind,
        settings: &[ExchangeSetting<'_>],
    ) -> Evolved {
        fresh(!self.exchanges.contains_key(name.as_ref()), &name)?;
        let mut policy = ExchangePolicy::default();
        for setting in settings {
            match setting {
                ExchangeSetting::Alternate(name) => {
                    policy.alternate = Some(Cow::Owned(name.clone().into_owned()));
                }
                ExchangeSetting::AutoDelete => policy.auto_delete = true,
                ExchangeSetting::Internal => policy.internal = true,
            }
        }
        self.bereft.retain(|other| *other != name);
        self.exchanges.insert(name.into_owned(), Exchange::new(kind, policy));
        Ok(())
    }

    pub(super) fn exchange_deleted(&mut self, name: &str) -> Evolved {
        let exchange = self.exchanges.remove(name).ok_or_else(|| broken("exchange"))?;
        self.bindings -= exchange.bindings().len();
        for binding in exchange.bindings() {
            self.no_longer_bound(name, &binding.to);
        }
        self.unbind_all(&Leads::Exchange(name.to_owned()));
        Ok(())
    }

    pub(super) fn bound(
        &mut self,
        exchange: &str,
        to: &Destination<'_>,
        pattern: &str,
        headers: &HeaderMatch<'_>,
    ) -> Evolved {
        let (from, binding) = self.named_by(exchange, to, pattern, headers)?;
        let leads = binding.to.clone();
        if from.bind(binding) {
            self.bindings += 1;
            self.bound_to.entry(leads).or_default().insert(exchange.to_owned());
        }
        Ok(())
    }

    pub(super) fn unbound(
        &mut self,
        exchange: &str,
        to: &Destination<'_>,
        pattern: &str,
        headers: &HeaderMatch<'_>,
    ) -> Evolved {
        let (from, binding) = self.named_by(exchange, to, pattern, headers)?;
        if from.unbind(&binding) {
            let was_last = from.leading_to(&binding.to).next().is_none();
            self.bindings -= 1;
            if was_last {
                self.no_longer_bound(exchange, &binding.to);
            }
            self.lost_bindings(exchange);
        }
        Ok(())
    }

    /// The exchange and the binding that a fact names.
    fn named_by(
        &mut self,
        exchange: &str,
        to: &Destination<'_>,
        pattern: &str,
        headers: &HeaderMatch<'_>,
    ) -> Result<(&mut Exchange, Binding), Violation> {
        let leads = self.leads(to).map_err(|refusal| broken(&refusal.message))?;
        let from = self.exchanges.get_mut(exchange).ok_or_else(|| broken("exchange"))?;
        Ok((from, Binding::new(leads, pattern, headers)))
    }

    /// Removes every binding that leads to what is gone.
    pub(super) fn unbind_all(&mut self, gone: &Leads) {
        for name in self.bound_to.remove(gone).into_iter().flatten() {
            let exchange = self.exchanges.get_mut(&name).expect("an exchange that is bound");
            self.bindings -= exchange.unbind_all(gone);
            self.lost_bindings(&name);
        }
    }

    fn no_longer_bound(&mut self, exchange: &str, to: &Leads) {
        if let Some(from) = self.bound_to.get_mut(to) {
            from.remove(exchange);
            if from.is_empty() {
                self.bound_to.remove(to);
            }
        }
    }

    fn lost_bindings(&mut self, name: &str) {
        let exchange = &self.exchanges[name];
        if exchange.policy.auto_delete && exchange.bindings().len() == 0 {
            self.bereft.push(name.to_owned());
        }
    }

    pub(super) fn check_bindings(&self) -> Checked {
        for (name, exchange) in &self.exchanges {
            for Binding { to, .. } in exchange.bindings() {
                let there = match to {
                    Leads::Queue(id) => self.queues.contains_key(id),
                    Leads::Topic(id) => self.topics.contains_key(id),
                    Leads::Exchange(name) => self.exchanges.contains_key(name),
                };
                let known = self.bound_to.get(to).is_some_and(|from| from.contains(name));
                hold(there && known, || format!("exchange {name}: a binding leads nowhere"))?;
            }
        }
        let known: usize = self.bound_to.values().map(|from| from.len()).sum();
        let mut pairs = Vec::new();
        for (name, exchange) in &self.exchanges {
            pairs.extend(exchange.bindings().map(|binding| (name, &binding.to)));
        }
        pairs.dedup();
        hold(known == pairs.len(), || {
            format!("{known} bound pairs are known, there are {}", pairs.len())
        })
    }
}

/// The fact that makes this exchange: the first format's as long as it can say it.
pub(super) fn exchange_made<'a>(
    name: &'a str,
    kind: ExchangeKind,
    policy: &'a ExchangePolicy<'_>,
) -> Fact<'a> {
    let ExchangePolicy { alternate, auto_delete, internal } = policy;
    let alternate = alternate.as_deref().map(|name| ExchangeSetting::Alternate(name.into()));
    let settings: Vec<_> = alternate
        .into_iter()
        .chain(auto_delete.then_some(ExchangeSetting::AutoDelete))
        .chain(internal.then_some(ExchangeSetting::Internal))
        .collect();
    if settings.is_empty() {
        Fact::ExchangeDeclared { name: name.into(), kind }
    } else {
        Fact::ExchangeMade { name: name.into(), kind, settings: settings.into() }
    }
}

/// The fact that makes this binding: the first format's as long as it can say it.
pub(super) fn bound<'a>(
    exchange: &'a str,
    to: Destination<'a>,
    pattern: &'a str,
    headers: HeaderMatch<'a>,
) -> Fact<'a> {
    let (exchange, pattern) = (exchange.into(), pattern.into());
    if headers.is_default() {
        Fact::Bound { exchange, to, pattern }
    } else {
        Fact::BoundByHeaders { exchange, to, pattern, headers }
    }
}

/// A routing key or pattern, within its bounds.
pub(super) fn valid_key(kind: ExchangeKind, key: &str) -> Result<(), Refused> {
    if key.len() > NAME_BYTES_MAX {
        return Err(Code::BadName.because(format!(
            "a routing key of {} bytes; it has at most {NAME_BYTES_MAX}",
            key.len()
        )));
    }
    let count = words(key).count();
    if kind == ExchangeKind::Topic && count > ROUTING_WORDS_MAX {
        return Err(Code::BadName.because(format!(
            "a routing key of {count} words; it has at most {ROUTING_WORDS_MAX}"
        )));
    }
    Ok(())
}

/// What a binding wants, sorted, within its bounds.
fn valid_headers(wants: &HeaderMatch<'_>) -> Result<(), Refused> {
    within("the number of headers wanted", wants.headers.len() as u64, 0, HEADERS_MAX as u64)?;
    let mut bytes = 0;
    for wanted in wants.headers.iter() {
        valid_name("header", &wanted.name)?;
        bytes += wanted.name.len() + wanted.value.as_deref().map_or(0, <[u8]>::len);
    }
    if bytes > BINDING_BYTES_MAX {
        return Err(Code::TooLarge.because(format!(
            "a binding that wants headers of {bytes} bytes; it has at most {BINDING_BYTES_MAX}"
        )));
    }
    match wants.headers.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Code::BadArgument
            .because(format!("header {} is wanted twice; name it once", shown(&pair[0].name)))),
        None => Ok(()),
    }
}

struct Shown<'d>(&'d Destination<'d>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Destination::Queue(name) => write!(f, "queue {name}"),
            Destination::Topic(name) => write!(f, "topic {name}"),
            Destination::Exchange(name) => write!(f, "exchange {name}"),
        }
    }
}

/// By what a binding takes a message.
struct How<'d>(&'d str, &'d HeaderMatch<'d>);

impl fmt::Display for How<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)?;
        if self.1.is_default() {
            return Ok(());
        }
        write!(f, " and {:?} of the headers", self.1.mode)?;
        for (wanted, nth) in self.1.headers.iter().zip(0..) {
            write!(f, "{} {}", if nth == 0 { "" } else { "," }, wanted.name)?;
            if let Some(value) = &wanted.value {
                write!(f, "={}", alloc::string::String::from_utf8_lossy(value))?;
            }
        }
        Ok(())
    }
}
