//! What only this store promises: the file, the lock, the retention.
