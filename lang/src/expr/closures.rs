//! Functions that run a predicate over a collection.
//! It never goes on once the result is known.

use std::collections::BTreeMap;

use super::EvalError;
use super::ast::{Closure, Node, Operator};
use super::eval::{Evaluation, Result, Scope};
use super::ops;
use super::value::{Key, V};

impl<'a> Evaluation<'a> {
    pub(super) fn closure(
        &mut self,
        closure: Closure,
        arguments: &'a [Node],
        offset: usize,
    ) -> Result<'a> {
        let [collection, rest @ ..] = arguments else {
            return self.fail(format!("`{}` needs a collection", closure.name()), offset);
        };
        let collection = self.run(collection)?;
        let Some(length) = collection.len() else {
            let what = format!("`{}` of {}", closure.name(), collection.type_name());
            return self.fail(what, offset);
        };
        self.scopes.push(Scope {
            collection,
            index: 0,
            accumulator: V::Nil,
        });
        let result = self.iterate(closure, length, rest.first(), rest.get(1), offset);
        self.scopes.pop();
        result
    }

    fn iterate(
        &mut self,
        closure: Closure,
        length: usize,
        predicate: Option<&'a Node>,
        third: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        match closure {
            Closure::All | Closure::None | Closure::Any => {
                for index in 0..length {
                    let truth = self.test(index, predicate, offset)?;
                    if truth == (closure != Closure::All) {
                        return Ok(V::Bool(closure == Closure::Any));
                    }
                }
                Ok(V::Bool(closure != Closure::Any))
            }
            Closure::One | Closure::Count => {
                let mut count = 0;
                for index in 0..length {
                    count += i64::from(self.test(index, predicate, offset)?);
                }
                Ok(if closure == Closure::One {
                    V::Bool(count == 1)
                } else {
                    V::Int(count)
                })
            }
            Closure::Filter => {
                let mut kept = Vec::new();
                for index in 0..length {
                    if self.test(index, predicate, offset)? {
                        kept.push(self.item(index, offset)?);
                    }
                }
                self.array(kept)
            }
            Closure::Map => {
                let mut mapped = Vec::new();
                for index in 0..length {
                    mapped.push(self.value(index, predicate, offset)?);
                }
                self.array(mapped)
            }
            Closure::Find | Closure::FindIndex => self.find(closure, 0..length, predicate, offset),
            Closure::FindLast | Closure::FindLastIndex => {
                self.find(closure, (0..length).rev(), predicate, offset)
            }
            Closure::Sum => self.sum(length, predicate, offset),
            Closure::GroupBy => self.group_by(length, predicate, offset),
            Closure::SortBy => self.sort_by(length, predicate, third, offset),
            Closure::Reduce => self.reduce(length, predicate, third, offset),
        }
    }

    /// The current element, or the error that the collection has none in order.
    fn item(&mut self, index: usize, offset: usize) -> Result<'a> {
        let item = self
            .scopes
            .last()
            .and_then(|scope| scope.collection.item(index));
        item.map_or_else(
            || self.fail("the collection has no elements in order", offset),
            Ok,
        )
    }

    /// The predicate's value for one element, or the element itself.
    fn value(&mut self, index: usize, predicate: Option<&'a Node>, offset: usize) -> Result<'a> {
        if let Some(scope) = self.scopes.last_mut() {
            scope.index = index;
        }
        match predicate {
            Some(node) => self.run(node),
            None => {
                self.step(1)?;
                self.item(index, offset)
            }
        }
    }

    fn test(
        &mut self,
        index: usize,
        predicate: Option<&'a Node>,
        offset: usize,
    ) -> std::result::Result<bool, EvalError> {
        let value = self.value(index, predicate, offset)?;
        self.truth(&value, predicate.map_or(offset, |node| node.offset))
    }

    fn find(
        &mut self,
        closure: Closure,
        order: impl Iterator<Item = usize>,
        predicate: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        for index in order {
            if self.test(index, predicate, offset)? {
                return match closure {
                    Closure::Find | Closure::FindLast => self.item(index, offset),
                    _ => Ok(V::Int(i64::try_from(index).unwrap_or_default())),
                };
            }
        }
        Ok(V::Nil)
    }

    fn sum(&mut self, length: usize, predicate: Option<&'a Node>, offset: usize) -> Result<'a> {
        let mut total = V::Int(0);
        for index in 0..length {
            if let Some(scope) = self.scopes.last_mut() {
                scope.accumulator = total.clone();
            }
            let value = self.value(index, predicate, offset)?;
            total = match ops::arithmetic(&value, Operator::Add, &total) {
                Some(total) => total,
                None => return self.fail(format!("`sum` of {}", value.type_name()), offset),
            };
        }
        Ok(total)
    }

    fn group_by(
        &mut self,
        length: usize,
        predicate: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        let mut groups: BTreeMap<Key, Vec<V<'a>>> = BTreeMap::new();
        for index in 0..length {
            let key = self.value(index, predicate, offset)?;
            let Some(key) = key.as_key() else {
                return self.fail(format!("{} as a key", key.type_name()), offset);
            };
            let item = self.item(index, offset)?;
            groups.entry(key).or_default().push(item);
        }
        let mut entries = BTreeMap::new();
        for (key, items) in groups {
            entries.insert(key, self.array(items)?);
        }
        V::map(entries, true).ok_or(EvalError::Budget("levels or leaves"))
    }

    fn sort_by(
        &mut self,
        length: usize,
        predicate: Option<&'a Node>,
        order: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        let descending = match order {
            None => false,
            Some(node) => {
                let order = self.run(node)?;
                match order.as_text() {
                    Some("asc") => false,
                    Some("desc") => true,
                    _ => {
                        return self.fail("the order is neither \"asc\" nor \"desc\"", node.offset);
                    }
                }
            }
        };
        let mut keyed = Vec::new();
        for index in 0..length {
            let key = self.value(index, predicate, offset)?;
            let item = self.item(index, offset)?;
            keyed.push((key, item));
        }
        self.sort(&mut keyed, descending, offset)?;
        self.array(keyed.into_iter().map(|(_, item)| item).collect())
    }

    /// Sorts by the first part; equal ones keep their order.
    pub(super) fn sort(
        &mut self,
        keyed: &mut [(V<'a>, V<'a>)],
        descending: bool,
        offset: usize,
    ) -> std::result::Result<(), EvalError> {
        self.step(keyed.len().saturating_mul(4))?;
        if let [(first, _), rest @ ..] = &*keyed
            && let Some((other, _)) = rest
                .iter()
                .find(|(other, _)| ops::order(first, other).is_none())
        {
            let (a, b) = (first.type_name(), other.type_name());
            return self.fail(format!("{a} and {b} have no order"), offset);
        }
        keyed.sort_by(|(a, _), (b, _)| {
            let order = ops::total_order(a, b);
            if descending { order.reverse() } else { order }
        });
        Ok(())
    }

    fn reduce(
        &mut self,
        length: usize,
        predicate: Option<&'a Node>,
        initial: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        let (start, mut accumulator) = match initial {
            Some(node) => (0, self.run(node)?),
            None if length == 0 => {
                return self.fail("`reduce` of nothing needs an initial value", offset);
            }
            None => (1, self.item(0, offset)?),
        };
        for index in start..length {
            if let Some(scope) = self.scopes.last_mut() {
                scope.accumulator = accumulator;
            }
            accumulator = self.value(index, predicate, offset)?;
        }
        Ok(accumulator)
    }
}
