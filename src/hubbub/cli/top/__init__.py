"""`hubbub top`: the workers of a running server as a table that is drawn anew, from `/metrics` of any of them.

`watch.py` is the command, `scrape.py` what it makes of two looks at a server, `table.py` what is drawn of that.
"""
