"""Where PySpark 4 keeps what RDDs are made of; each module passes on simspark's."""
