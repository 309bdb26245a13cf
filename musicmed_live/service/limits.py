"""How often somebody may call: a budget for each address and each kind of call."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from musicmed_live.errors import TooManyCalls
from musicmed_live.service.budget import Budget

ADDRESSES = 4096  # so many budgets are kept; the one that was used longest ago is forgotten, and so is whole again
HOUSE_BITS = 64  # of an IPv6 address: what follows is one household's own choice (RFC 6177)


class Call(Enum):
    """What is counted: how many at once, and then how many a minute.

    A whole ward may have one address. All of its sessions and their sockets come back at once after a restart.
    """

    OPEN = (64, 30, "sessions opened")
    ENTER = (256, 600, "sockets opened")
    GUESS = (20, 10, "wrong tokens")

    @property
    def burst(self) -> int:
        return self.value[0]

    @property
    def per_minute(self) -> int:
        return self.value[1]


class Limits:
    """The budgets. `now` is any steady clock, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._budgets: OrderedDict[tuple[Call, str], Budget] = OrderedDict()

    def spend(self, call: Call, address: str) -> None:
        """Count a call. Raises `TooManyCalls` where there is nothing left for it."""
        self.check(call, address)
        self._budget(call, address).spend(self._now())

    def check(self, call: Call, address: str) -> None:
        """Raise `TooManyCalls` where the next such call would be one too many."""
        wait_seconds = self._budget(call, address).wait_seconds(self._now())
        if wait_seconds > 0:
            raise TooManyCalls(f"too many {call.value[2]} from this address", wait_seconds)

    def _budget(self, call: Call, address: str) -> Budget:
        key = (call, _house(address))
        budget = self._budgets.pop(key, None) or Budget(call.per_minute / 60, call.burst, self._now())
        self._budgets[key] = budget
        if len(self._budgets) > ADDRESSES:
            self._budgets.popitem(last=False)
        return budget


def _house(address: str) -> str:
    """What shares a budget: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), HOUSE_BITS), strict=False))
