"""The public RDD API."""
