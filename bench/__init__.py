"""Load and speed programs that print JSON."""
