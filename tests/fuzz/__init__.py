"""Schemathesis against the running service, once as each kind of caller: `make fuzz`, and a small size in the suite."""
