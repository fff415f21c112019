"""The daemon on each machine: launches and supervises executors, keeps and serves their files."""
