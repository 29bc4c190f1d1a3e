"""The broker of one process: what brokers share is a `Store`; a message is brought within the turn it is sent in."""
