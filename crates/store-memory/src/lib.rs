//! The reference implementation of the authentication state stores, in memory.
