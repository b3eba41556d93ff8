"""The one HTTP edge of a node: metrics, health, read-only pages."""
