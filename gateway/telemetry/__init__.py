"""Metrics, and the one operational log line a call."""
