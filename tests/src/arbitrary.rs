//! Any value of any type that can be deserialised, from dice: a request that no client would send,
//! a fact that no broker would write. It is made through serde, so a new field or variant is tried
//! without a line here.

use std::collections::BTreeMap;

use fanlight_core::{Event, LeaseId};
use serde::de::value::{Error, U32Deserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use crate::dice::Dice;

/// Names that a workload gives to things, and some that nothing has or may have.
const NAMES: [&str; 26] = [
    "orders",
    "orders",
    "payments",
    "mails",
    "dead",
    "clicks",
    "clicks",
    "ledger",
    "one",
    "direct",
    "topic",
    "fanout",
    "amq.direct",
    "amq.topic",
    "amq.fanout",
    "amq.headers",
    "billing",
    "search",
    "crew",
    "crew/0",
    "",
    "nowhere",
    "amq.mine",
    "line\nbreak",
    "a.b",
    "ünï©ødé",
];
/// Numbers at the edges of what is allowed, or can be written.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    127,
    255,
    256,
    4_095,
    4_096,
    4_097,
    65_535,
    65_536,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 63,
    u64::MAX,
];
/// Spans of time that workloads use, in nanoseconds.
const SPANS: [u64; 5] = [1, 1_000_000, 100_000_000, 1_000_000_000, 60_000_000_000];

/// What clients were told, so that some of what they say makes sense.
#[derive(Clone, Debug, Default)]
pub struct Known {
    leases: Vec<[u64; 4]>,
    /// By the name of the field that says them.
    numbers: BTreeMap<&'static str, Vec<u64>>,
}

impl Known {
    /// Takes note of an event.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what it does not know it does without")]
    pub fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } => {
                for delivery in deliveries.iter() {
                    let LeaseId { queue, offset, delivery, epoch } = delivery.lease;
                    let lease = [queue.0.into(), offset.0, delivery.into(), epoch.0.into()];
                    self.leases.push(lease);
                }
            }
            Event::Consuming { consumer, .. } => self.number("consumer", consumer.0),
            Event::Joined { member, .. } => self.number("member", member.0),
            Event::JoinedClassic { member, generation, .. } => {
                self.number("member", member.0);
                self.number("generation", generation.0.into());
            }
            Event::Assigned { generation, .. } => self.number("generation", generation.0.into()),
            _ => {}
        }
    }

    fn number(&mut self, field: &'static str, number: u64) {
        self.numbers.entry(field).or_default().push(number);
    }
}

/// Any value, or none where the dice fell on one that its type refuses.
pub fn any<T: de::Deserialize<'static>>(dice: &mut Dice, known: &Known) -> Option<T> {
    T::deserialize(&mut Source::new(dice, known)).ok()
}

/// Where a value comes from.
struct Source<'d> {
    dice: &'d mut Dice,
    known: &'d Known,
    /// The field that is made.
    field: &'static str,
    /// The numbers that come next, whatever the dice say.
    given: Vec<u64>,
    depth: usize,
}

impl<'d> Source<'d> {
    fn new(dice: &'d mut Dice, known: &'d Known) -> Source<'d> {
        Source { dice, known, field: "", given: Vec::new(), depth: 0 }
    }

    fn number(&mut self, max: u64) -> u64 {
        if let Some(given) = self.given.pop() {
            return given.min(max);
        }
        let told = self.known.numbers.get(self.field);
        let number = match self.dice.weighted(&[40, 25, 15, 20]) {
            0 => self.dice.below(5),
            1 => told.and_then(|told| self.dice.pick_any(told).copied()).unwrap_or(1),
            2 => *self.dice.pick(&SPANS),
            _ => *self.dice.pick(&EDGES),
        };
        number.min(max)
    }

    fn text(&mut self) -> String {
        match self.dice.below(40) {
            0 => "q".repeat(*self.dice.pick(&[128, 129, 255, 256, 300])),
            1 => ["a"; 40][..self.dice.between(1, 40) as usize].join("."),
            2 => (0..self.dice.below(6)).map(|_| char::from(self.dice.roll() as u8)).collect(),
            _ => (*self.dice.pick(&NAMES)).into(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = *self.dice.pick(&[0, 1, 1, 2, 5, 20, 100, 1_000]);
        (0..length).map(|_| b'a' + self.dice.below(4) as u8).collect()
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $int:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.$visit(self.number(<$int>::MAX as u64) as $int)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for &mut Source<'_> {
    type Error = Error;

    numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a type has to say what it is"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.dice.percent(50))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(self.number(u64::MAX) as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.number(u64::MAX) as f64)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_char(char::from(self.dice.roll() as u8))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_byte_buf(self.bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_byte_buf(self.bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.dice.percent(60) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let deep = self.depth > 4;
        let left = if deep { 0 } else { *self.dice.pick(&[0, 1, 1, 1, 2, 2, 3, 8]) };
        visitor.visit_seq(Items { source: self, fields: &[], at: 0, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { source: self, fields: &[], at: 0, left })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { source: self, fields: &[], at: 0, left })
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("there are no maps in the protocol"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == "LeaseId" && self.dice.percent(80) {
            let told = self.dice.pick_any(&self.known.leases);
            self.given.extend(told.into_iter().flatten().rev());
        }
        visitor.visit_seq(Items { source: self, fields, at: 0, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = self.dice.below(variants.len() as u64) as u32;
        visitor.visit_enum(Choice { source: self, variant })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(0)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// The items of a sequence, or the fields of a struct.
struct Items<'s, 'd> {
    source: &'s mut Source<'d>,
    fields: &'static [&'static str],
    at: usize,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if let Some(field) = self.fields.get(self.at) {
            self.source.field = field;
        }
        self.at += 1;
        self.source.depth += 1;
        let value = seed.deserialize(&mut *self.source);
        self.source.depth -= 1;
        value.map(Some)
    }
}

/// One of an enum's variants.
struct Choice<'s, 'd> {
    source: &'s mut Source<'d>,
    variant: u32,
}

impl<'de> de::EnumAccess<'de> for Choice<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant: U32Deserializer<Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.source)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { source: self.source, fields: &[], at: 0, left })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { source: self.source, fields, at: 0, left: fields.len() })
    }
}
