//! The `awsLambda` trigger: one call per firing. Its spec and validation; this build does not call yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Calls an AWS Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsLambdaSpec {
    /// The function.
    pub function_name: String,
    /// The access key; ambient credentials where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// The region.
    pub region: String,
    /// What the function gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// `RequestResponse` (default), `Event` or `DryRun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation_type: Option<String>,
    /// A role that is taken on.
    #[serde(rename = "roleARN", skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
}

impl AwsLambdaSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("functionName", &self.function_name, " to the function");
        problems.require("region", &self.region, ", as eu-west-1");
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
        let known = [
            None,
            Some(""),
            Some("RequestResponse"),
            Some("Event"),
            Some("DryRun"),
        ];
        if !known.contains(&self.invocation_type.as_deref()) {
            problems.at("invocationType", |problems| {
                problems.error("must be RequestResponse, Event or DryRun");
            });
        }
    }
}
