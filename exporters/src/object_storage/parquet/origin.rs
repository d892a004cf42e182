//! The columns that tell where a record comes from: its resource and its scope.

use arrow_array::builder::{ArrayBuilder, StringBuilder, UInt32Builder};
use tidegate_pdata::view::EntityRef;
use tidegate_pdata::view::{
    AnyValue, Attributes, ByResource, Repeated, Resource, ResourceFields, Scope, ScopeFields, Span,
    Text, View,
};

use super::attributes::{AttributeColumns, put_value};
use super::columns::{Columns, Lists, TextLists, put_text, put_text_or_null};
use super::rows::Around;

/// A resource and a scope, read once for all of their records.
pub(super) struct Origin<'a> {
    resource: ResourceFields<'a>,
    resource_schema: Text<'a>,
    service: [AnyValue<'a>; 3],
    scope: ScopeFields<'a>,
    scope_schema: Text<'a>,
}

/// The attributes that have columns of their own in every table.
const SERVICE: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

impl<'a> Origin<'a> {
    /// Reads what containers say of themselves.
    pub(super) fn of(around: &Around<'a>) -> Self {
        let resource = Resource::of(around.resource).fields();
        Self {
            service: SERVICE.map(|key| resource.attributes.get(key).unwrap_or_default()),
            resource,
            resource_schema: Text::new(around.resource_schema),
            scope: Scope::of(around.scope).fields(),
            scope_schema: Text::new(around.scope_schema),
        }
    }

    pub(super) const fn resource_attributes(&self) -> Attributes<'a> {
        self.resource.attributes
    }
}

/// The name of the service that a resource stands for, where it is text.
pub(in super::super) fn service_name<'a>(resource: &'a [u8]) -> Option<Text<'a>> {
    let by_resource: ByResource<'a, Span<'a>> = View::of(resource);
    let resource: Resource<'a> = by_resource.resource();
    resource.attributes().get(SERVICE[0])?.as_text()
}

/// The columns.
#[derive(Default)]
pub(super) struct OriginColumns {
    service: [StringBuilder; 3],
    resource: AttributeColumns,
    resource_dropped: UInt32Builder,
    resource_schema: StringBuilder,
    entities: Entities,
    scope_name: StringBuilder,
    scope_version: StringBuilder,
    scope: AttributeColumns,
    scope_dropped: UInt32Builder,
    scope_schema: StringBuilder,
}

impl OriginColumns {
    pub(super) fn put(&mut self, origin: &Origin<'_>, exact: &mut bool) {
        for (out, value) in self.service.iter_mut().zip(origin.service) {
            put_value(out, value, exact);
        }
        let resource = &origin.resource;
        self.resource.put(resource.attributes, exact);
        self.resource_dropped
            .append_value(resource.dropped_attributes_count);
        put_text_or_null(&mut self.resource_schema, origin.resource_schema, exact);
        self.entities.put(resource.entity_refs, exact);
        let scope = &origin.scope;
        put_text_or_null(&mut self.scope_name, scope.name, exact);
        put_text_or_null(&mut self.scope_version, scope.version, exact);
        self.scope.put(scope.attributes, exact);
        self.scope_dropped
            .append_value(scope.dropped_attributes_count);
        put_text_or_null(&mut self.scope_schema, origin.scope_schema, exact);
    }

    pub(super) fn finish(&mut self, columns: &mut Columns) {
        let names = ["service_name", "service_namespace", "service_instance_id"];
        for (name, out) in names.into_iter().zip(&mut self.service) {
            columns.maybe(name, out.finish());
        }
        self.resource.finish("resource_attribute", columns);
        columns.always(
            "resource_dropped_attributes_count",
            self.resource_dropped.finish(),
        );
        columns.maybe("resource_schema_url", self.resource_schema.finish());
        self.entities.finish(columns);
        columns.maybe("scope_name", self.scope_name.finish());
        columns.maybe("scope_version", self.scope_version.finish());
        self.scope.finish("scope_attribute", columns);
        columns.always(
            "scope_dropped_attributes_count",
            self.scope_dropped.finish(),
        );
        columns.maybe("scope_schema_url", self.scope_schema.finish());
    }
}

/// The entities that make a resource up.
#[derive(Default)]
struct Entities {
    lists: Lists,
    kind: StringBuilder,
    schema_url: StringBuilder,
    id_keys: TextLists,
    description_keys: TextLists,
}

impl Entities {
    fn put<'a>(&mut self, entities: Repeated<'a, EntityRef<'a>>, exact: &mut bool) {
        for entity in entities {
            let entity = entity.fields();
            put_text(&mut self.kind, entity.r#type, exact);
            put_text_or_null(&mut self.schema_url, entity.schema_url, exact);
            self.id_keys.put(entity.id_keys, exact);
            self.description_keys.put(entity.description_keys, exact);
        }
        self.lists.end(self.kind.len());
    }

    fn finish(&mut self, columns: &mut Columns) {
        let mut inner = Columns::default();
        inner.always("type", self.kind.finish());
        inner.maybe("schema_url", self.schema_url.finish());
        inner.always("id_keys", self.id_keys.finish());
        inner.always("description_keys", self.description_keys.finish());
        columns.always("resource_entities", self.lists.of_structs(inner));
    }
}
