//! Sprig's functions, as Argo offers them to filters.
//! It never lets one use more than what is left of the expression's budget.

use std::rc::Rc;

use super::Answer;
use crate::expr::EvalError;
use crate::expr::eval::Evaluation;
use crate::expr::value::V;
use crate::gotemplate::{Datum, Sprig};

pub(super) fn call<'a>(
    evaluation: &mut Evaluation<'a>,
    function: Sprig,
    arguments: &[V<'a>],
) -> Result<Answer<'a>, EvalError> {
    let Some(arguments) = arguments.iter().map(datum).collect::<Option<Vec<_>>>() else {
        return Ok(Err("takes no functions".to_owned()));
    };
    let (steps, memory) = evaluation.left();
    match function.call(&arguments, steps, memory) {
        Ok((result, used)) => {
            evaluation.take(used.steps, used.memory)?;
            Ok(value(result).ok_or_else(|| "gives too large a value".to_owned()))
        }
        Err(why) => Ok(Err(format!("fails: {why}"))),
    }
}

fn datum(value: &V<'_>) -> Option<Datum> {
    Some(match value {
        V::Int(int) => Datum::Int(*int),
        V::Float(float) => Datum::Float(*float),
        V::Time(time) => Datum::Time((**time).clone()),
        V::Duration(nanos) => Datum::Duration(*nanos),
        other => Datum::Json(other.to_json()?),
    })
}

fn value<'a>(datum: Datum) -> Option<V<'a>> {
    Some(match datum {
        Datum::Json(value) => V::owned(value)?,
        Datum::Int(int) => V::Int(int),
        Datum::Float(float) => V::Float(float),
        Datum::Time(time) => V::Time(Rc::new(time)),
        Datum::Duration(nanos) => V::Duration(nanos),
    })
}
