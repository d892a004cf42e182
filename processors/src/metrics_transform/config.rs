//! The keys of `metrics_transform`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_pdata::Signals;

use super::MetricsTransform;
use super::filter::Filter;
use super::operations::Operation;
use crate::matching::MatchType;
use crate::merge::Aggregation;

/// Renames metrics and their labels, copies, combines and groups metrics, scales and aggregates points.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is done to metrics, in this order; each step sees what the ones before made.
    transforms: Vec<TransformConfig>,
}

/// What is done to some metrics.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TransformConfig {
    /// The name of the metrics, or a pattern of it.
    #[serde(default)]
    include: String,
    /// Whether names and labels are compared as they are (`strict`) or are regular expressions (`regexp`);
    /// `strict` unless told.
    match_type: Option<MatchType>,
    /// Labels of the points to which it is done, with their values, or patterns of these. A label that a point
    /// does not have is empty.
    #[serde(default)]
    experimental_match_labels: BTreeMap<String, String>,
    /// What happens to the metrics.
    action: Option<Action>,
    /// The name that the metric gets, in which `$1` or `${name}` stands for what a group of the pattern matched;
    /// `insert` and `combine` need one.
    #[serde(default)]
    new_name: String,
    /// Attributes of the resource that `group` makes.
    group_resource_labels: Option<BTreeMap<String, String>>,
    /// How `combine` puts points together that have the same labels; unless told the first is taken.
    aggregation_type: Option<Aggregation>,
    /// How labels are written that `combine` takes from names: `lower` or `upper`; as they are unless told.
    submatch_case: Option<Case>,
    /// What is done to the points, in this order.
    #[serde(default)]
    operations: Vec<OperationConfig>,
}

/// What happens to metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// They change.
    Update,
    /// They stay, and a copy changes.
    Insert,
    /// One metric is made of all of them.
    Combine,
    /// They move to a resource of their own.
    Group,
}

/// How labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Case {
    /// In small letters.
    Lower,
    /// In capitals.
    Upper,
}

/// What is done to points.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OperationConfig {
    /// What it is.
    action: Option<OperationAction>,
    /// The label that it is done to.
    #[serde(default)]
    label: String,
    /// The label that is added, or the name that the label gets.
    #[serde(default)]
    new_label: String,
    /// The labels that stay (`aggregate_labels`).
    #[serde(default)]
    label_set: Vec<String>,
    /// How points are put together that have the same labels then; unless told the first is taken.
    aggregation_type: Option<Aggregation>,
    /// Values of the label that become one (`aggregate_label_values`).
    #[serde(default)]
    aggregated_values: Vec<String>,
    /// The value that the label gets; `{{version}}` is this program's.
    #[serde(default)]
    new_value: String,
    /// Values of the label that become others (`update_label`).
    #[serde(default)]
    value_actions: Vec<ValueAction>,
    /// What values are multiplied by (`experimental_scale_value`).
    #[serde(default)]
    experimental_scale: f64,
    /// The value of the label whose points are deleted (`delete_label_value`).
    #[serde(default)]
    label_value: String,
}

/// What can be done to points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OperationAction {
    /// Adds a label to points that do not have it.
    AddLabel,
    /// Gives a label another name, and its values others.
    UpdateLabel,
    /// Deletes points.
    DeleteLabelValue,
    /// Makes floating-point numbers of whole ones, and the other way round.
    ToggleScalarDataType,
    /// Multiplies values.
    ExperimentalScaleValue,
    /// Takes labels away and puts points together.
    AggregateLabels,
    /// Makes one value of several and puts points together.
    AggregateLabelValues,
}

/// A value that becomes another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ValueAction {
    /// The value.
    value: String,
    /// What it becomes; `{{version}}` is this program's.
    #[serde(default)]
    new_value: String,
}

/// What is done to some metrics, ready to be done.
pub(super) struct Transform {
    pub(super) filter: Filter,
    pub(super) action: Action,
    pub(super) new_name: Box<str>,
    pub(super) group_resource_labels: BTreeMap<String, String>,
    pub(super) aggregation: Option<Aggregation>,
    pub(super) submatch_case: Option<Case>,
    pub(super) operations: Vec<Operation>,
}

fn with_version(text: &str) -> Box<str> {
    text.replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .into()
}

impl OperationConfig {
    fn compile(&self, path: &str) -> Result<Operation, BuildError> {
        let needed = |key: &str, text: &str| {
            if text.is_empty() {
                let message = format!("`{key}` is missing");
                return Err(BuildError::at(format!("{path}::{key}"), message)
                    .remedy(format!("add `{key}`, which this action needs")));
            }
            Ok(Box::from(text))
        };
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        let Some(action) = self.action else {
            return Err(BuildError::at(path, "`action` is missing")
                .remedy("say what is done, as `action: add_label`"));
        };
        Ok(match action {
            OperationAction::AddLabel => Operation::AddLabel {
                label: needed("new_label", &self.new_label)?,
                value: with_version(&needed("new_value", &self.new_value)?),
            },
            OperationAction::UpdateLabel => Operation::UpdateLabel {
                label: needed("label", &self.label)?,
                new_label: Some(&self.new_label)
                    .filter(|new| !new.is_empty() && **new != self.label)
                    .map(|new| new.as_str().into()),
                values: (self.value_actions.iter())
                    .map(|action| {
                        (
                            action.value.as_str().into(),
                            with_version(&action.new_value),
                        )
                    })
                    .collect(),
            },
            OperationAction::DeleteLabelValue => Operation::DeleteLabelValue {
                label: needed("label", &self.label)?,
                value: self.label_value.as_str().into(),
            },
            OperationAction::ToggleScalarDataType => Operation::ToggleScalarDataType,
            OperationAction::ExperimentalScaleValue => {
                if self.experimental_scale == 0.0 {
                    let message = "values would all become 0";
                    return Err(
                        BuildError::at(format!("{path}::experimental_scale"), message)
                            .remedy("say what values are multiplied by, as `1000`"),
                    );
                }
                Operation::Scale(self.experimental_scale)
            }
            OperationAction::AggregateLabels => Operation::AggregateLabels {
                labels: texts(&self.label_set),
                aggregation: self.aggregation_type,
            },
            OperationAction::AggregateLabelValues => Operation::AggregateLabelValues {
                label: needed("label", &self.label)?,
                values: texts(&self.aggregated_values),
                new_value: with_version(&self.new_value),
                aggregation: self.aggregation_type,
            },
        })
    }
}

impl TransformConfig {
    fn compile(&self, path: &str) -> Result<Transform, BuildError> {
        let missing = |key: &str, remedy: &str| {
            let message = format!("`{key}` is missing");
            BuildError::at(format!("{path}::{key}"), message).remedy(remedy)
        };
        if self.include.is_empty() {
            return Err(missing(
                "include",
                "name a metric, as `include: system.cpu.time`",
            ));
        }
        let Some(action) = self.action else {
            let remedy = "write `update`, `insert`, `combine` or `group`";
            return Err(missing("action", remedy));
        };
        if self.new_name.is_empty() && matches!(action, Action::Insert | Action::Combine) {
            return Err(missing("new_name", "name the metric that is made"));
        }
        if self.group_resource_labels.is_none() && action == Action::Group {
            let remedy = "say what tells the new resource from the old one";
            return Err(missing("group_resource_labels", remedy));
        }
        let operations = self.operations.iter().enumerate();
        let operations = operations
            .map(|(at, operation)| operation.compile(&format!("{path}::operations::{at}")));
        Ok(Transform {
            filter: Filter::new(
                &self.include,
                &self.experimental_match_labels,
                self.match_type.unwrap_or(MatchType::Strict),
                path,
            )?,
            action,
            new_name: self.new_name.as_str().into(),
            group_resource_labels: self.group_resource_labels.clone().unwrap_or_default(),
            aggregation: self.aggregation_type,
            submatch_case: self.submatch_case,
            operations: operations.collect::<Result<_, _>>()?,
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "metrics_transform";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let transforms = self.transforms.iter().enumerate();
        let transforms =
            transforms.map(|(at, transform)| transform.compile(&format!("transforms::{at}")));
        let transforms = transforms.collect::<Result<_, _>>()?;
        Ok(Box::new(MetricsTransform::new(cx, transforms)))
    }
}
