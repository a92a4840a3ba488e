"""Union-find: things put together in groups."""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """Groups of keys that were joined, directly or not; each has a representative."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def find(self, key: object) -> object:
        root = key
        while self._parent.setdefault(root, root) is not root:
            root = self._parent[root]
        while self._parent[key] is not root:
            self._parent[key], key = root, self._parent[key]
        return root

    def join(self, key: object, others: Iterable[object]) -> None:
        self.find(key)
        for other in others:
            self._parent[self.find(other)] = self.find(key)
