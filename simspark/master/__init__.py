"""The daemon that knows workers and applications and grants executors. It never sees user code."""
