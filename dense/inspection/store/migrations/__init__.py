"""Steps from one form of the tables to the next, run by `dense.inspection.store.database`."""
