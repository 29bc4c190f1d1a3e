"""The page of operators, and what it asks: `app.include_router(admin(), prefix="/admin")`.

Knows hub, ports, protocol and the ground.
"""

from hubbub.integrations.admin.router import admin

__all__ = ["admin"]
