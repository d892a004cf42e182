//! What connectors make, on its way.

use std::sync::Arc;

use tidegate_component::{Reason, Routes};
use tidegate_pdata::compose::Request;
use tidegate_pdata::{Batch, Budget, Context, Outcome, Receipt};

/// Passes on to all pipelines what was made, with the receipt of those who wait for it, if any do.
pub(crate) fn pass_on(
    request: Request,
    (context, receipt): (Context, Receipt),
    budget: &Arc<Budget>,
    malformed: &Reason,
    out: &mut Routes<'_>,
) {
    let items = request.items();
    let hold = budget.overdraw(request.size());
    match request.finish(Some(hold)) {
        Ok(payload) if payload.is_empty() => receipt.settle(&Outcome::Delivered),
        Ok(payload) => out.broadcast(Batch::new(payload, context, receipt)),
        // Cannot be: it was written field by field.
        Err(_) => {
            out.outbox.dropped(malformed, items);
            receipt.settle(&Outcome::Delivered);
        }
    }
}
