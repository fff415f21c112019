"""What a task is made of: source, steps and sink."""
