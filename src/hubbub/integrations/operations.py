"""What operators look at: is it alive, is it ready, how much is going on, and the metrics.

app.include_router(operations())
"""

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Header, HTTPException, Response

from hubbub.errors import ConfigurationError, Unavailable
from hubbub.hub.current import hub_or_current
from hubbub.hub.handshakes import RETRY_AFTER
from hubbub.hub.hub import Hub
from hubbub.integrations.metrics import NotInstalled, exposition


def operations(*, hub: Hub | None = None) -> APIRouter:
    """`/health/live`, `/health/ready`, `/stats` and `/metrics` of `hub`, by default the one of the application.

    Live: the event loop turns. Ready: 503 and a `reason` while this worker takes no new connections, so that a balancer
    sends clients elsewhere. Both are answered to HEAD as well. Stats: the whole cluster, whichever worker answers, at
    most a second old. Metrics: those of every worker, each sample with its `node`, in Prometheus' format; with
    `?scope=worker` of the one that answers. They need `hubbub[metrics]`: without it the answer is 501.
    """
    router = APIRouter(tags=["operations"])
    Which: TypeAlias = Annotated[Hub, Depends(hub_or_current(hub))]

    @router.get("/health/live")
    @router.head("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/health/ready")
    @router.head("/health/ready", include_in_schema=False)
    async def ready(hub: Which, response: Response) -> dict[str, str]:
        reason = hub.unready
        if reason is None:
            return {"status": "ready", "node": hub.node}
        response.status_code = 503
        response.headers.update(RETRY_AFTER)
        try:
            return {"status": "not ready", "node": hub.node, "reason": reason}
        except ConfigurationError as error:
            return {"status": "not ready", "reason": str(error)}

    @router.get("/stats")
    async def stats(hub: Which) -> dict[str, Any]:
        try:
            counted = await hub.stats()
        except (Unavailable, ConfigurationError) as error:
            raise HTTPException(503, str(error), RETRY_AFTER) from None
        workers = [
            {"node": worker.node, "pid": worker.pid, "connections": worker.connections} for worker in counted.workers
        ]
        return {
            "connections": counted.connections,
            "users": counted.users,
            "rooms": counted.rooms,
            "workers": workers,
        }

    @router.get("/metrics")
    async def metrics(
        hub: Which, scope: Literal["cluster", "worker"] = "cluster", accept: Annotated[str, Header()] = ""
    ) -> Response:
        try:
            text, content_type = await exposition(hub, accept, alone=scope == "worker")
        except NotInstalled as error:
            raise HTTPException(501, str(error)) from None
        except ConfigurationError as error:
            raise HTTPException(503, str(error), RETRY_AFTER) from None
        return Response(text, headers={"Content-Type": content_type})

    return router
