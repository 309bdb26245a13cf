"""What waits between one who brings and one who takes."""

import asyncio
from collections import deque
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """At most `longest` items, oldest first; for one more the oldest is dropped: readings are of use while new.

    Iterating waits for items, and ends once it is closed and empty. A cancelled wait loses none.
    """

    def __init__(self, longest: int) -> None:
        self._items: deque[T] = deque(maxlen=longest)
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, item: T) -> bool:
        """Whether the oldest item had to go for it."""
        full = len(self._items) == self._items.maxlen
        self._items.append(item)
        self._changed.set()
        return full

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._changed.set()

    def __len__(self) -> int:
        return len(self._items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
