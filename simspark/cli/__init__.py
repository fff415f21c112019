"""The commands. The only place of simspark that prints or exits."""
