"""The documentation, held to the code: its examples run, its tables agree, its links lead somewhere."""
