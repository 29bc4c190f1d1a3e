"""Private notifications to every tab of a user."""
