"""Runs of the torture target under a real pager."""
