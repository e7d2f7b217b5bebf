//! What several commits do to the index together: of many changes of one message only the record
//! before the first and the record after the last count.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{MessageId, Record};

use super::index::Step;

/// Steps for one batch of the index.
#[derive(Default)]
pub(crate) struct Steps {
    list: Vec<Step>,
    by_id: HashMap<MessageId, usize>,
}

impl Steps {
    /// Adds the next commit's step.
    pub(crate) fn push(&mut self, mut step: Step) {
        if let Step::Forget { id, old, .. } = &mut step
            && let Some(earlier) = self.by_id.remove(id).and_then(|at| self.list.get_mut(at))
        {
            // Of a message that comes and goes within one batch nothing but its number is left.
            if let Step::Record { old: before, .. } = earlier {
                *old = before.take();
            }
            *earlier = step;
            return;
        }
        if let Step::Record { new, place, .. } = &step {
            let earlier = self.by_id.get(&new.id).and_then(|at| self.list.get_mut(*at));
            if let Some(Step::Record { new: last, place: lies, .. }) = earlier {
                *last = Arc::clone(new);
                *lies = *place;
                return;
            }
            self.by_id.insert(new.id.clone(), self.list.len());
        }
        self.list.push(step);
    }

    /// The newest record of a message in here.
    pub(crate) fn newest(&self, id: &MessageId) -> Option<Arc<Record>> {
        match self.by_id.get(id).and_then(|at| self.list.get(*at)) {
            Some(Step::Record { new, .. }) => Some(Arc::clone(new)),
            _ => None,
        }
    }

    /// The steps.
    pub(crate) fn as_slice(&self) -> &[Step] {
        &self.list
    }

    /// Forgets them, keeping the room.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.by_id.clear();
    }
}
