//! The fronts, over real connections.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod large;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod submit;
