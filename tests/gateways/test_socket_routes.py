from typing import Any, cast

from voxgate.clock import SystemClock
from voxgate.gateways.auth import SCOPED
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.socket_routes import LIVE, SPEECH, routes
from voxgate.gateways.sockets import Sockets
from voxgate.observe import Prometheus
from voxgate.services.billing import PriceSettings


def test_every_route_says_which_client_secrets_open_it() -> None:
    none = cast(Any, None)
    sockets = Sockets(none, none, PriceSettings(), LimitSettings(), Prometheus(), SystemClock(), 1, none, none)
    served = routes(sockets)
    assert set(served) <= {LIVE, SPEECH}
    assert set(served) <= SCOPED.keys()
    assert not [path for path, route in served.items() if route.token_first and path != SPEECH]
