//! The end of an element: its value, or whether its content is complete (XSD 1.0 part 1, section 3.3.4).

use super::{Frame, InScope, Run, fault};
use crate::error::Refusal;
use crate::verify::Walk;
use crate::verify::xsd::automaton::Content;
use crate::verify::xsd::model::{Element, Given, Type};
use crate::verify::xsd::types::{SimpleType, Value};

impl<'s, 'd> Run<'s, 'd> {
    /// The innermost element ends.
    pub(super) fn end(&mut self, walk: &Walk<'d>, qname: &str) -> Result<(), Refusal> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let declared = frame.element.and_then(|id| self.schema.element(id));
        let mut value = None;
        match self.schema.kind(frame.kind) {
            Some(Type::Simple(kind)) if !frame.nil => {
                value = self.value(walk, qname, &frame, declared, kind)?
            }
            Some(Type::Complex(complex)) if !frame.nil => match &complex.content {
                Content::Simple(kind) => value = self.value(walk, qname, &frame, declared, kind)?,
                Content::Empty => {}
                content => self.complete(walk, qname, &frame, declared, content)?,
            },
            _ => {}
        }
        self.counters.truncate(frame.counters);
        self.text.clear();
        let nil = frame.nil && self.simple(frame.kind).is_some();
        self.tables.end(walk, frame.offset, qname, value, nil)
    }

    /// Checks the value of an element (section 3.3.4, 5); it is given back where an identity constraint wants it.
    fn value(
        &mut self,
        walk: &Walk<'d>,
        qname: &str,
        frame: &Frame,
        declared: Option<&'s Element>,
        kind: &'s SimpleType,
    ) -> Result<Option<Value>, Refusal> {
        let refuse = |reason: String| fault::at_end(walk, frame.offset, qname, &reason);
        if frame.has_children {
            return Err(refuse("the schema has a value here, no elements".to_owned()));
        }
        let given = declared.and_then(|declared| declared.given.as_ref());
        let written = self.text.get();
        let text = match given {
            Some(given) if written.is_empty() => &given.text,
            _ => written,
        };
        let own = if kind.has_names() { &self.prefixes[..] } else { &[] };
        let scope = InScope(own, &walk.namespaces);
        kind.check(text, &scope)
            .map_err(|fault| refuse(format!("the value is not as the schema asks: {fault}")))?;
        let wanted = self.tables.wants_value();
        let value = match given.is_some_and(|given| given.fixed) || wanted {
            true => Some(kind.value(text, &scope).map_err(|fault| refuse(fault.to_string()))?),
            false => None,
        };
        // The type may be another than the one that the fixed value was read by (`xsi:type`).
        let own = declared.is_some_and(|declared| declared.kind == frame.kind);
        let fits = |given: &Given| match own {
            true => given.value == value,
            false => kind.value(&given.text, &scope).ok() == value,
        };
        if let Some(given) = given.filter(|given| given.fixed && !fits(given)) {
            let shown: String = given.text.chars().take(80).collect();
            return Err(refuse(format!("the schema fixes the value of this element: {shown}")));
        }
        if kind.has_ids() {
            self.ids.add(kind, text).map_err(|fault| fault.at_end(walk, frame.offset, qname))?;
        }
        Ok(value.filter(|_| wanted))
    }

    /// Checks that the content of an element is complete.
    fn complete(
        &self,
        walk: &Walk<'d>,
        qname: &str,
        frame: &Frame,
        declared: Option<&Element>,
        content: &Content,
    ) -> Result<(), Refusal> {
        let counters = self.counters.get(frame.counters..).unwrap_or_default();
        let given = declared.and_then(|declared| declared.given.as_ref());
        if let Some(given) = given
            && !frame.has_children
        {
            // What is left out is as the schema gives it (section 3.3.4, 5.1).
            let text = self.text.get();
            if text.is_empty() || !given.fixed || *text == *given.text {
                return Ok(());
            }
        }
        if given.is_some_and(|given| given.fixed) {
            return Err(fault::at_end(
                walk,
                frame.offset,
                qname,
                "the schema fixes the value of this element to another one",
            ));
        }
        let complete = match content {
            Content::Ordered(automaton) => automaton.accepts(frame.state, counters),
            Content::All(group) => group.accepts(counters),
            _ => true,
        };
        match complete {
            true => Ok(()),
            false => {
                let expected = self.expected(frame.kind, frame.state, counters);
                let reason = format!("an element is missing that the schema asks for{expected}");
                Err(fault::at_end(walk, frame.offset, qname, &reason))
            }
        }
    }
}
