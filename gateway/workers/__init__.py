"""What must not run on the event loop."""
