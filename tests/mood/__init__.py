"""The mood stream."""
