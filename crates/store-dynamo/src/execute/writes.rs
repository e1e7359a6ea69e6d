//! Requests that write.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use store_core::Result;
use uuid::Uuid;

use super::{Access, Answer, Operation, Transacted};
use crate::error;
use crate::write::{Action, Write};

impl Operation {
    /// Does one write.
    pub(crate) async fn write(&self, write: Write) -> Result<Answer> {
        let executor = &self.executor;
        let access = match write.condition {
            None => Access::Idempotent,
            Some(_) => Access::Write,
        };
        let condition = write.condition.map(str::to_owned);
        let values = (!write.values.is_empty()).then_some(write.values);
        let returns = |value| write.returning.then_some(value);
        match write.action {
            Action::Put(item) => {
                let request = executor.client.put_item().table_name(executor.table());
                let request = request
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values);
                let send = || async {
                    match request.clone().send().await {
                        Ok(_) => Ok(Answer::Done(None)),
                        Err(error) => match error.as_service_error() {
                            Some(PutItemError::ConditionalCheckFailedException(_)) => {
                                Ok(Answer::Refused(None))
                            }
                            _ => Err(error::request(&error, access)),
                        },
                    }
                };
                executor.send("PutItem", access, send).await
            }
            Action::Update(key, expression) => {
                let request = executor.client.update_item().table_name(executor.table());
                let request = request
                    .set_key(Some(key.into_item()))
                    .update_expression(expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .set_return_values(returns(ReturnValue::AllNew))
                    .return_values_on_condition_check_failure(
                        ReturnValuesOnConditionCheckFailure::AllOld,
                    );
                let send = || async {
                    match request.clone().send().await {
                        Ok(answer) => Ok(Answer::Done(answer.attributes)),
                        Err(SdkError::ServiceError(context)) => match context.err() {
                            UpdateItemError::ConditionalCheckFailedException(refusal) => {
                                Ok(Answer::Refused(refusal.item().cloned()))
                            }
                            _ => Err(error::request(&SdkError::ServiceError(context), access)),
                        },
                        Err(error) => Err(error::request(&error, access)),
                    }
                };
                executor.send("UpdateItem", access, send).await
            }
            Action::Delete(key) => {
                let request = executor.client.delete_item().table_name(executor.table());
                let request = request
                    .set_key(Some(key.into_item()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .set_return_values(returns(ReturnValue::AllOld));
                let send = || async {
                    match request.clone().send().await {
                        Ok(answer) => Ok(Answer::Done(answer.attributes)),
                        Err(error) => match error.as_service_error() {
                            Some(DeleteItemError::ConditionalCheckFailedException(_)) => {
                                Ok(Answer::Refused(None))
                            }
                            _ => Err(error::request(&error, access)),
                        },
                    }
                };
                executor.send("DeleteItem", access, send).await
            }
            Action::Check(_) => Err(error::unbuildable()),
        }
    }

    /// Does several writes, all or none. It carries a token, so that DynamoDB does it once
    /// even if it is sent again because no answer came.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted> {
        let executor = &self.executor;
        let items = writes
            .into_iter()
            .map(|write| write.into_transaction(executor.table()))
            .collect::<Result<Vec<_>>>()?;
        let request = executor.client.transact_write_items();
        let request = request
            .set_transact_items(Some(items))
            .client_request_token(Uuid::new_v4().to_string());
        let send = || async {
            let error = match request.clone().send().await {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) => error,
            };
            if let Some(TransactWriteItemsError::TransactionCanceledException(refusal)) =
                error.as_service_error()
            {
                let reasons = refusal.cancellation_reasons().iter();
                let refused = error::cancelled(reasons.map(|reason| reason.code()))?;
                return Ok(Transacted::Refused(refused));
            }
            Err(error::request(&error, Access::Idempotent))
        };
        executor
            .send("TransactWriteItems", Access::Idempotent, send)
            .await
    }
}
