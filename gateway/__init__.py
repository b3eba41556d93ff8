"""Limen: a privacy-preserving cross-border data-sharing gateway."""

__version__ = "0.1.0"
