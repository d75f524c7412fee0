"""Tests that take minutes or need new environments: `make test-slow`, or `pytest tests/slow`."""
