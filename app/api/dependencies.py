"""What routes are given: the services of the running application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.bootstrap import Services

__all__ = ["ServicesDependency"]


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - set by the lifespan
    return services


ServicesDependency = Annotated[Services, Depends(_services)]
