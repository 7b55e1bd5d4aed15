//! Removes what was made for an object that is gone, where no garbage collector has done so.

use kube::Api;
use kube::api::DynamicObject;
use tiphys_core::tasks::chain;

use super::{Context, Outcome};
use crate::operator::apply;
use crate::operator::child::Child;
use crate::operator::queue::Next;

pub(super) async fn remove(context: &Context, child: &Child) -> Outcome {
    let mut outcome = Outcome::new(0);
    if let Err(error) = try_remove(context, child).await {
        let (kind, name) = (child.key.made.as_str(), &child.key.name);
        tracing::warn!(kind, name, error = %chain(&error), "cannot remove what a deleted object has left");
        outcome.next = Next::Retry;
    }
    outcome
}

async fn try_remove(context: &Context, child: &Child) -> Result<(), kube::Error> {
    // The watches are no proof: another controller may know an owner that we have not heard of yet.
    let owners = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        &child.key.namespace,
        &child.owner.kind.resource(),
    );
    let owner = owners.get_metadata_opt(&child.owner.name).await?;
    if owner.is_some_and(|owner| owner.metadata.uid.as_deref() == Some(child.owner.uid.as_str())) {
        return Ok(());
    }
    let api = apply::api(&context.client, child.key.made, &child.key.namespace);
    apply::delete(&api, &child.key.name, Some(&child.uid)).await?;
    let (kind, name, namespace) = (
        child.key.made.as_str(),
        &child.key.name,
        &child.key.namespace,
    );
    tracing::info!(kind, name, namespace, "removed with its owner");
    Ok(())
}
