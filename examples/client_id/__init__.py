"""A chat in which the client says in the path who it is."""
