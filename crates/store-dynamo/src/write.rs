//! One write: what it does, and on which condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use store_core::{Result, Timestamp};

use crate::error;
use crate::mapping::{Item, at};
use crate::queries::Key;

/// What a write does.
#[derive(Clone)]
pub(crate) enum Action {
    Put(Item),
    Update(Key, &'static str),
    Delete(Key),
    /// Nothing: only its condition must hold. In transactions.
    Check(Key),
}

/// A write and its condition.
#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) action: Action,
    pub(crate) condition: Option<&'static str>,
    pub(crate) values: HashMap<String, AttributeValue>,
    /// Whether the item after an update, or before a deletion, is wanted.
    pub(crate) returning: bool,
}

impl Write {
    fn new(action: Action) -> Self {
        Self {
            action,
            condition: None,
            values: HashMap::new(),
            returning: false,
        }
    }

    /// Puts an item, in place of what is there.
    pub(crate) fn put(key: Key, mut item: Item) -> Self {
        item.extend(key.into_item());
        Self::new(Action::Put(item))
    }

    pub(crate) fn update(key: Key, expression: &'static str) -> Self {
        Self::new(Action::Update(key, expression))
    }

    pub(crate) fn delete(key: Key) -> Self {
        Self::new(Action::Delete(key))
    }

    pub(crate) fn check(key: Key) -> Self {
        Self::new(Action::Check(key))
    }

    /// Only if this holds.
    pub(crate) fn when(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    /// With this value for a placeholder.
    pub(crate) fn with(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }

    /// With this instant as `:now`.
    pub(crate) fn now(self, now: Timestamp) -> Self {
        self.with(":now", at(now))
    }

    pub(crate) fn returning(mut self) -> Self {
        self.returning = true;
        self
    }

    pub(crate) fn into_transaction(self, table: &str) -> Result<TransactWriteItem> {
        let condition = self.condition.map(str::to_owned);
        let values = (!self.values.is_empty()).then_some(self.values);
        let item = TransactWriteItem::builder();
        let built = match self.action {
            Action::Put(put) => Put::builder()
                .table_name(table)
                .set_item(Some(put))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .build()
                .map(|put| item.put(put)),
            Action::Update(key, expression) => Update::builder()
                .table_name(table)
                .set_key(Some(key.into_item()))
                .update_expression(expression)
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .build()
                .map(|update| item.update(update)),
            Action::Delete(key) => Delete::builder()
                .table_name(table)
                .set_key(Some(key.into_item()))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .build()
                .map(|delete| item.delete(delete)),
            Action::Check(key) => ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key.into_item()))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .build()
                .map(|check| item.condition_check(check)),
        };
        built
            .map(|item| item.build())
            .map_err(|_| error::unbuildable())
    }
}
