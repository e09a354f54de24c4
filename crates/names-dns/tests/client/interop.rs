//! With real programs.
