"""Attacks as attackers make them, each against a real server, with the bound it meets."""
