"""The Python API on real servers in this process."""
