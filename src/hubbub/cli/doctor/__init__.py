"""`hubbub doctor`: what runs here, what holds it back, what keeps it from working, and what to do about it.

It looks at the environment that it runs in: the same virtual environment, user and `.env` as the server's give the
same answers. `examine.py` asks the others, a module for each subject; `finding.py` has the names of all they find.
"""
