//! The helpers that are ours: `json`, an `each` that counts its turns, and no `log`.
//! They never write anything but the output.

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output,
    RenderContext, RenderErrorReason, Renderable,
};
use serde_json::Value as Json;

use super::data;
use crate::json::{self, Escape};

/// Registers them.
pub(super) fn register(registry: &mut Handlebars<'static>) {
    registry.register_helper("json", Box::new(ToJson));
    registry.register_helper("each", Box::new(Each));
    registry.register_helper("log", Box::new(NoLog));
}

fn missing(name: &str) -> RenderErrorReason {
    RenderErrorReason::Other(format!("helper {name:?} needs a value"))
}

/// `{{json value}}`: the value as compact JSON with the digits of its numbers.
struct ToJson;

impl HelperDef for ToJson {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let param = helper.param(0).ok_or_else(|| missing("json"))?;
        if param.is_value_missing() {
            return Err(RenderErrorReason::MissingVariable(param.relative_path().cloned()).into());
        }
        let exact = param
            .context_path()
            .and_then(|path| at(context.data().get(data::EXACT)?, path));
        let value = exact.map_or_else(|| data::from_seen(param.value()), data::from_exact);
        let mut text = String::new();
        json::write(&value, Escape::Plain, &mut text);
        out.write(&text)?;
        Ok(())
    }
}

fn at<'a>(data: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(data, |value, key| match value {
        Json::Array(items) => items.get(key.parse::<usize>().ok()?),
        Json::Object(members) => members.get(key),
        _ => None,
    })
}

/// `{{#each list}}`: as Handlebars has it, with every turn counted by the output.
struct Each;

impl HelperDef for Each {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let param = helper.param(0).ok_or_else(|| missing("each"))?;
        let items: Vec<(Json, String, &Json)> = match param.value() {
            Json::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| (Json::from(at), at.to_string(), item))
                .collect(),
            Json::Object(members) => members
                .iter()
                .map(|(key, item)| (Json::from(key.as_str()), key.clone(), item))
                .collect(),
            _ if param.is_value_missing() && helper.inverse().is_none() => {
                return Err(
                    RenderErrorReason::MissingVariable(param.relative_path().cloned()).into(),
                );
            }
            _ => Vec::new(),
        };
        if items.is_empty() {
            return helper
                .inverse()
                .map_or(Ok(()), |other| other.render(registry, context, render, out));
        }
        let Some(body) = helper.template() else {
            return Ok(());
        };
        let last = items.len() - 1;
        render.push_block(BlockContext::new());
        let mut result = Ok(());
        for (index, (key, name, item)) in items.into_iter().enumerate() {
            let mut block = BlockContext::new();
            if let Some(path) = param.context_path() {
                block.base_path_mut().clone_from(path);
                block.base_path_mut().push(name);
            } else {
                block.set_base_value(item.clone());
            }
            block.set_local_var("first", Json::from(index == 0));
            block.set_local_var("last", Json::from(index == last));
            block.set_local_var("index", Json::from(index));
            if key.is_string() {
                block.set_local_var("key", key.clone());
            }
            let mut params = BlockParams::new();
            let (value_name, key_name) = match (helper.block_param(), helper.block_param_pair()) {
                (Some(value), _) => (Some(value), None),
                (None, Some((value, key))) => (Some(value), Some(key)),
                (None, None) => (None, None),
            };
            if let Some(name) = value_name {
                // An empty path is the block itself.
                match param.context_path() {
                    Some(_) => params.add_path(name, Vec::new())?,
                    None => params.add_value(name, item.clone())?,
                }
            }
            if let Some(name) = key_name {
                params.add_value(name, key)?;
            }
            block.set_block_params(params);
            if let Some(slot) = render.block_mut() {
                *slot = block;
            }
            // An empty text is how the output counts.
            result = out
                .write("")
                .map_err(Into::into)
                .and_then(|()| body.render(registry, context, render, out));
            if result.is_err() {
                break;
            }
        }
        render.pop_block();
        result
    }
}

/// `{{log}}` would write to the process's own log.
struct NoLog;

impl HelperDef for NoLog {
    fn call<'reg: 'rc, 'rc>(
        &self,
        _: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> HelperResult {
        Err(RenderErrorReason::HelperNotFound("log".to_owned()).into())
    }
}
