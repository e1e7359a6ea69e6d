//! The store contract as conformance cases that any backend can run.
