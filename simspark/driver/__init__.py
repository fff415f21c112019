"""The library that turns a user's program into lineage, stages and tasks."""
