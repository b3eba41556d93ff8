"""What a node watches itself for, and what becomes of an alert. No I/O, no clock, no chance."""
