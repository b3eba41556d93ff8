"""What commands do. Imported when a command runs, so that its help needs none of it."""
