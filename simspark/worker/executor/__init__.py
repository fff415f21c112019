"""The process that belongs to one application and runs its tasks."""
