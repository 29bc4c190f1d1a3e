"""Rooms over several workers, with Redis pub/sub by hand."""
