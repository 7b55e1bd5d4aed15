//! The members of a JSON object as they are written: their order, and the text of their values. Pure.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Members in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The value of a member.
    pub(super) fn get(&self, key: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| &**value)
    }

    /// Sets a member: in its place, or behind the others.
    pub(super) fn insert(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Takes a member out; absent is fine.
    pub(super) fn remove(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                // However many members there are, each is looked up once.
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    let place = places.get(&key).copied();
                    match place.and_then(|place| members.0.get_mut(place)) {
                        Some((_, old)) => *old = value,
                        None => {
                            places.insert(key.clone(), members.0.len());
                            members.0.push((key, value));
                        }
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_digits_stay_and_the_last_of_a_name_counts() {
        let json = r#"{"z":1.10,"a":{"y": 1,"b":2},"z":2.50}"#;
        let mut members: Members = serde_json::from_str(json).unwrap();
        members.insert("n", serde_json::value::to_raw_value(&1).unwrap());
        members.remove("none");
        let text = serde_json::to_string(&members).unwrap();
        assert_eq!(text, r#"{"z":2.50,"a":{"y": 1,"b":2},"n":1}"#);
    }
}
