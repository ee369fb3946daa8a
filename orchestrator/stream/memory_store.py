"""The derived state in memory: ``replay --journal``, tests, and whoever needs no second run."""

import heapq

from orchestrator.stream.rounds import Out, Round


class MemoryStore:
    """The `rounds.Store` of one run; `commit` makes a Round true and keeps what it published."""

    def __init__(self) -> None:
        self._heads: dict[str, tuple[int, bytes, int | None]] = {}
        self._open: dict[str, dict[tuple[str, str], bytes]] = {}
        self._sealed: dict[str, dict[tuple[str, str], bytes]] = {}
        self._seen: dict[int, dict[tuple[str, str], tuple[bytes, int]]] = {}
        self._home: dict[str, int] = {}
        # Every wake ever set, per partition; those that a head no longer has are dropped when met.
        self._wakes: dict[int, list[tuple[int, str]]] = {}
        self._meta: dict[int, bytes] = {}
        self.published: list[Out] = []

    def head(self, key: str) -> bytes | None:
        found = self._heads.get(key)
        return None if found is None else found[1]

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        return [(kind, name, value) for (kind, name), value in self._open.get(key, {}).items()]

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        found = self._open.get(key, {}).get((kind, name))
        return self._sealed.get(key, {}).get((kind, name)) if found is None else found

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        return [(kind, name, value) for (kind, name), value in self._sealed.get(key, {}).items()]

    def seen(self, key: str, event_hash: str) -> bytes | None:
        found = self._seen.get(self._home.get(key, -1), {}).get((key, event_hash))
        return None if found is None else found[0]

    def due(self, partition: int, until: int) -> list[str]:
        wakes = self._wakes.get(partition, [])
        due: list[tuple[int, str]] = []
        while wakes and wakes[0][0] <= until:
            wake, key = heapq.heappop(wakes)
            if self._wake(key) == wake and (not due or due[-1] != (wake, key)):
                due.append((wake, key))
        for entry in due:
            heapq.heappush(wakes, entry)
        return [key for _, key in due]

    def _wake(self, key: str) -> int | None:
        head = self._heads.get(key)
        return None if head is None else head[2]

    def meta(self, partition: int) -> bytes | None:
        return self._meta.get(partition)

    def commit(self, rnd: Round) -> None:
        """Make *rnd* true."""
        partition, meta = rnd.meta
        for key in rnd.gone:
            for rows in (self._heads, self._open, self._sealed):
                rows.pop(key, None)
        for (key, kind, name), (value, sealed) in rnd.cells.items():
            here, there = (self._sealed, self._open) if sealed else (self._open, self._sealed)
            here.setdefault(key, {})[kind, name] = value
            there.get(key, {}).pop((kind, name), None)
        for key, (value, wake) in rnd.heads.items():
            self._heads[key] = (partition, value, wake)
            if wake is not None:
                heapq.heappush(self._wakes.setdefault(partition, []), (wake, key))
        remembered = self._seen.setdefault(partition, {})
        for (key, event_hash), entry in rnd.seen.items():
            self._home[key] = partition
            remembered[key, event_hash] = entry
        if (before := rnd.forget_seen_before) is not None:
            self._seen[partition] = {k: v for k, v in remembered.items() if v[1] >= before}
        self._meta[partition] = meta
        self.published += rnd.outputs
