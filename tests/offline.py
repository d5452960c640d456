"""Notices and refuses every use of the network that goes through Python, whichever library asks."""

from __future__ import annotations

import sys
from typing import Any

_ASKS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.bind": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}
"""Audit events, and where in their arguments the address stands."""


class Offline:
    """An audit hook, which lasts as long as the process; it refuses while `forbids` is set.

    Attributes:
        forbids: whether asking raises.
        refused: what was asked for since `take`.
    """

    def __init__(self) -> None:
        self.forbids = False
        self.refused: list[str] = []
        sys.addaudithook(self._hear)

    def take(self) -> list[str]:
        """Return what was asked for, and forget it."""
        asked, self.refused = self.refused, []
        return asked

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        place = _ASKS.get(event)
        if place is None or not self.forbids:
            return
        address = arguments[place]
        if isinstance(address, (str, bytes)) and event.startswith("socket.connect"):
            return  # a Unix socket: a file of this machine
        self.refused.append(f"{event} {address!r}")
        raise PermissionError(f"a test asked for the network: {event} {address!r}")
