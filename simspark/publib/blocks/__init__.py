"""Segment files: how they are written, read, served and fetched."""
