//! A work queue of keys: no key twice, none worked on twice at once, failures later.
