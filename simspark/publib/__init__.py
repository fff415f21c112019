"""What travels between the processes, and what all of them share."""
