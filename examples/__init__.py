"""What the usual tutorials write, each beside its migration to Hubbub: docs/howto/migrate-from-a-connection-manager.md.

python -m examples                  # all of them, before and after side by side
python -m examples client_id        # one of them
"""
