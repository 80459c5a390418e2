# SPDX-License-Identifier: GPL-2.0-or-later
"""Where nets live by the routing tables, told to who needs it; which of them are behind this host; what is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openswan.base.address import Subnet
from openswan.base.errors import HostError
from openswan.engine.effects import Intercept
from openswan.engine.events import EngineEvent, InterceptionSeen, RoutesSeen
from openswan.host.guard.guard import Guard
from openswan.host.intercept.intercept import Interceptor
from openswan.host.routes import Routes


class Surroundings:
    """Between routing tables, guard, interception and pluto."""

    def __init__(
        self,
        guard: Guard,
        routes: Routes,
        interceptor: Interceptor | None,
        tell: Callable[[RoutesSeen], None],
        log: Callable[[str, bool], None],
    ) -> None:
        self._guard, self._routes, self._interceptor = guard, routes, interceptor
        self._tell, self._log = tell, log
        self._homes: tuple[tuple[Subnet, str], ...] | None = None
        """As guard and pluto have been told; None: they have not."""
        self._too_many = False

    def look(self) -> None:
        """See where nets live now; HostError and OSError: nobody can say.

        Of too many routes pluto hears nothing: a net that has a guard must not lose it because others have come.
        """
        found = self._routes.homes()
        if found is None:
            self._give_up()
        elif (homes := tuple(found)) != self._homes:
            self._guard.settle(homes)
            self._homes = homes  # where the guard could not follow, the next look has it try again
            self._tell(RoutesSeen(homes))
        self._too_many = found is None
        self._guard.follow_devices()

    def _give_up(self) -> None:
        if not self._too_many:
            self._guard.settle(())
            self._homes = None
            self._log("more routes than can tell who is behind this host: who is known to be stays", True)

    def stop_packets(self, plan: Intercept) -> None:
        """For these packets are stopped; nets behind this host stay reachable past routes into tunnels."""
        try:
            self._routes.spare(plan.inside)
        except (HostError, OSError) as why:
            self._log(f"nets behind this host: {why}", True)
        if self._interceptor is not None:
            self._interceptor.set(plan)

    def stopped(self) -> Iterator[EngineEvent]:
        """What is kept from passing, and how; for the status."""
        yield self._guard.seen()
        if self._interceptor is not None:
            yield InterceptionSeen(self._interceptor.how, self._interceptor.counters())
