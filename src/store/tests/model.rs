//! Random operations on a store and on a plain map must give equal answers, also after stops.
