"""`make bench`: this service beside its floor and beside what people write, on one machine in one run."""
