"""Examples that run: an invented region for the demo, the tests and the benches."""
